//! What the figures were measured on.

use std::collections::BTreeMap;
use std::fmt;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// The machine and the tools.
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    system: String,
    server: String,
    rustc: String,
    load: String,
}

impl Machine {
    pub(crate) fn read() -> Result<Self> {
        Ok(Self {
            cpu: cpu().unwrap_or_else(|| "unknown cpu".to_owned()),
            cores: thread::available_parallelism()?.get(),
            system: said("uname", &["-sr"]).unwrap_or_else(|| std::env::consts::OS.to_owned()),
            server: xtask::binary::find()?.version,
            rustc: said("rustc", &["--version"]).context("rustc does not run")?,
            load: load().unwrap_or_else(|| "-".to_owned()),
        })
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "cpu": self.cpu, "cores": self.cores, "system": self.system,
            "server": self.server, "rustc": self.rustc, "load": self.load,
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "machine   {}, {} cores, {}, load before {}", self.cpu, self.cores, self.system, self.load)?;
        write!(f, "versions  {}, {}", self.server, self.rustc)
    }
}

/// The versions of these crates, as the lock file has them: `redis 1.8.1`.
pub(crate) fn versions(crates: &[&str]) -> String {
    let lock = include_str!("../Cargo.lock");
    let packages: BTreeMap<_, _> = lock.split("[[package]]").filter_map(package).collect();
    let version = |name: &&str| format!("{name} {}", packages.get(name).unwrap_or(&"?"));
    crates.iter().map(version).collect::<Vec<_>>().join(", ")
}

fn package(text: &str) -> Option<(&str, &str)> {
    let field = |name| text.lines().find_map(|line: &str| line.strip_prefix(name)?.strip_suffix('"'));
    Some((field("name = \"")?, field("version = \"")?))
}

fn cpu() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok();
    let named = text.as_deref().and_then(|text| text.lines().find_map(|line| line.strip_prefix("model name")));
    match named {
        Some(name) => Some(name.trim_start_matches([' ', '\t', ':']).to_owned()),
        None => said("sysctl", &["-n", "machdep.cpu.brand_string"]),
    }
}

/// The mean of the last minute: figures from a busy machine are worth less.
fn load() -> Option<String> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split(' ').next().map(str::to_owned)
}

fn said(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn versions_come_from_the_lock_file() {
        let versions = super::versions(&["redis", "no such crate"]);
        assert!(versions.starts_with("redis 1.") && versions.ends_with("no such crate ?"), "{versions}");
    }
}
