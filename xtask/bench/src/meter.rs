//! What a turn costs beside time: processor time on both sides, and commands.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use xtask::resp::{Connection, Reply};

/// Counters that only grow.
pub(crate) struct Meter {
    /// Microseconds; `None` where the system does not tell.
    pub(crate) client_us: Option<f64>,
    pub(crate) server_us: f64,
    /// The part of it that scripts took, as the server's own clock has it.
    pub(crate) script_us: f64,
    /// How often each command ran, inside of scripts too.
    pub(crate) commands: BTreeMap<String, u64>,
    /// How often the server read from a socket: what was written at once is read at once.
    pub(crate) reads: u64,
}

impl Meter {
    /// The sum over servers.
    pub(crate) fn read(servers: &mut [Connection]) -> Result<Self> {
        let (client_us, commands) = (client_us(), BTreeMap::new());
        let mut meter = Self { client_us, server_us: 0.0, script_us: 0.0, commands, reads: 0 };
        for server in servers {
            let cpu = info(server, "cpu")?;
            let seconds = |name| -> Result<f64> { Ok(field(&cpu, name)?.parse()?) };
            meter.server_us += (seconds("used_cpu_user")? + seconds("used_cpu_sys")?) * 1e6;
            // Servers before 7.0 do not count them.
            meter.reads += field(&info(server, "stats")?, "total_reads_processed").map_or(Ok(0), str::parse)?;
            for (name, count, micros) in info(server, "commandstats")?.lines().filter_map(calls) {
                if name.starts_with("eval") {
                    meter.script_us += micros;
                }
                *meter.commands.entry(name.to_owned()).or_default() += count;
            }
        }
        Ok(meter)
    }

    /// What was spent since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let client_us = self.client_us.zip(earlier.client_us).map(|(now, then)| now - then);
        let before = |name| earlier.commands.get(name).copied().unwrap_or_default();
        let commands = self.commands.iter().map(|(name, count)| (name.clone(), count - before(name)));
        let commands = commands.filter(|(_, count)| *count > 0).collect();
        let (server_us, script_us) = (self.server_us - earlier.server_us, self.script_us - earlier.script_us);
        Self { client_us, server_us, script_us, commands, reads: self.reads - earlier.reads }
    }
}

/// The process id, for pinning.
pub(crate) fn server_pid(server: &mut Connection) -> Result<u32> {
    Ok(field(&info(server, "server")?, "process_id")?.parse()?)
}

/// Opens a connection to a server of ours.
pub(crate) fn connect(port: u16) -> Result<Connection> {
    Connection::open(port, Duration::from_secs(5))
}

fn info(server: &mut Connection, section: &str) -> Result<String> {
    match server.call(&["INFO", section])? {
        Reply::Bulk(Some(text)) => Ok(String::from_utf8(text)?),
        other => bail!("INFO {section}: {other:?}"),
    }
}

fn field<'a>(text: &'a str, name: &str) -> Result<&'a str> {
    let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    found.with_context(|| format!("INFO has no {name}"))
}

/// Reads `cmdstat_get:calls=3,usec=9,…`, but not what asking itself costs.
fn calls(line: &str) -> Option<(&str, u64, f64)> {
    let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
    let (count, rest) = rest.split_once(",usec=")?;
    let micros = rest.split(',').next()?.parse().ok()?;
    (name != "info").then_some((name, count.parse().ok()?, micros))
}

/// The time all threads spent on a processor. `stat` has it too, in steps of 10 ms.
pub(crate) fn client_us() -> Option<f64> {
    let mut nanos = 0;
    for task in fs::read_dir("/proc/self/task").ok()? {
        let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        nanos += text.split(' ').next()?.parse::<u64>().ok()?;
    }
    Some(nanos as f64 / 1e3)
}

#[cfg(test)]
mod tests {
    #[test]
    fn commands_are_counted_but_asking_is_not() {
        assert_eq!(super::calls("cmdstat_get:calls=3,usec=9,usec_per_call=3.00"), Some(("get", 3, 9.0)));
        assert_eq!(super::calls("cmdstat_info:calls=3,usec=9,usec_per_call=3.00"), None);
        assert_eq!(super::calls("# Commandstats"), None);
    }
}
