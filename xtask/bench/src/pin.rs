//! Which processors client and server run on.
//!
//! Left to the scheduler, one sequential client is several times faster when it happens to share a processor with the
//! server: two modes in one table.

use std::fmt;
use std::process::{Command, Stdio};
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};

/// Where client and server run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Both on one processor: no wake-up of an idle one, so that what a library adds is seen to 1 %.
    Same,
    /// Each on its own: right for many tasks.
    Split,
    /// Wherever the system puts them.
    None,
}

impl FromStr for Placement {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "same" => Ok(Self::Same),
            "split" => Ok(Self::Split),
            "none" => Ok(Self::None),
            _ => Err("must be same, split or none"),
        }
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Same => "same",
            Self::Split => "split",
            Self::None => "none",
        })
    }
}

/// Both sides in their place; dropping it frees this process again.
pub(crate) struct Pinned {
    /// What was done, or why nothing was.
    pub(crate) description: String,
    home: Option<String>,
}

impl Pinned {
    /// Pins the servers, and this thread with all it starts from now on.
    pub(crate) fn new(placement: Placement, servers: &[u32]) -> Self {
        match pin(placement, servers) {
            Ok((home, description)) => Self { description, home: Some(home) },
            Err(reason) => Self { description: format!("not pinned: {reason:#}"), home: None },
        }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if let Some(home) = &self.home
            && let Err(error) = taskset("-cp", home, std::process::id())
        {
            eprintln!("still pinned: {error:#}");
        }
    }
}

fn pin(placement: Placement, servers: &[u32]) -> Result<(String, String)> {
    ensure!(placement != Placement::None, "as asked");
    let home = allowed()?;
    let cpus = listed(&home)?;
    let first = *cpus.first().context("no processor is allowed")?;
    let client = match (placement, cpus.get(1)) {
        (Placement::Split, Some(second)) => *second,
        (Placement::Split, None) => bail!("one processor cannot be split"),
        _ => first,
    };
    for server in servers {
        taskset("-acp", &first.to_string(), *server)?;
    }
    taskset("-cp", &client.to_string(), std::process::id())?;
    Ok((home, format!("{} on cpu {first}, client on cpu {client}", counted(servers.len()))))
}

fn counted(servers: usize) -> String {
    if servers == 1 { "server".to_owned() } else { format!("{servers} servers") }
}

/// `0-3`, as the kernel writes it.
fn allowed() -> Result<String> {
    let status = std::fs::read_to_string("/proc/self/status").context("no /proc")?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    Ok(list.context("no Cpus_allowed_list")?.trim().to_owned())
}

/// The processors in `0-1,4`.
fn listed(text: &str) -> Result<Vec<usize>> {
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        cpus.extend(first.parse::<usize>()?..=last.parse()?);
    }
    Ok(cpus)
}

/// The system call is unsafe in Rust; the tool is in util-linux.
fn taskset(option: &str, cpus: &str, pid: u32) -> Result<()> {
    let mut command = Command::new("taskset");
    command.args([option, cpus, &pid.to_string()]).stdin(Stdio::null());
    let output = command.output().context("taskset does not run")?;
    ensure!(output.status.success(), "taskset: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::listed;

    #[test]
    fn lists_of_processors_are_read() {
        assert_eq!(listed("0-2,5").unwrap(), [0, 1, 2, 5]);
        assert_eq!(listed("3").unwrap(), [3]);
        assert!(listed("").is_err());
    }
}
