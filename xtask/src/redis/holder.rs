//! The process that holds servers, as it has written itself down.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use xtask::resp::{Connection, Reply};

use super::topology::{Topology, Up};

/// Who holds the servers, and where these are.
pub(super) struct Holder {
    pid: u32,
    pub(super) url: String,
    servers: Vec<(u16, PathBuf)>,
}

impl Holder {
    /// This process.
    pub(super) fn of(up: &Up) -> Self {
        let servers = up.servers().into_iter().map(|server| (server.port(), server.dir().to_path_buf())).collect();
        Self { pid: std::process::id(), url: up.url(), servers }
    }

    /// Puts it where others look for it, complete or not at all. It goes with the first server.
    pub(super) fn write(&self, topology: Topology) -> Result<()> {
        let mut text = format!("{}\n{}\n", self.pid, self.url);
        for (port, dir) in &self.servers {
            text.push_str(&format!("{port} {}\n", dir.display()));
        }
        let new = topology.home().join("holder.new");
        fs::write(&new, text)?;
        Ok(fs::rename(new, topology.home().join("holder"))?)
    }

    /// The holder of servers that are verifiably ours. What killed leashes left behind is removed.
    pub(super) fn find(topology: Topology) -> Result<Option<Self>> {
        let home = topology.home();
        if !home.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(home.join("holder"));
        let text =
            text.with_context(|| format!("{} is starting or broken: try again, or remove it", home.display()))?;
        let holder = Self::parse(&text).with_context(|| home.join("holder").display().to_string())?;
        if holder.is_alive() {
            return Ok(Some(holder));
        }
        for (_, dir) in holder.servers.iter().filter(|(_, dir)| dir.exists()) {
            eprintln!("nothing answers: removing {}", dir.display());
            fs::remove_dir_all(dir)?;
        }
        Ok(None)
    }

    fn parse(text: &str) -> Result<Self> {
        let mut lines = text.lines();
        let pid = lines.next().context("no pid")?.parse()?;
        let url = lines.next().context("no URL")?.to_owned();
        let server = |line: &str| {
            let (port, dir) = line.split_once(' ').context("a server is a port and a directory")?;
            anyhow::Ok((port.parse()?, dir.into()))
        };
        Ok(Self { pid, url, servers: lines.map(server).collect::<Result<_>>()? })
    }

    /// Whether one of its servers answers. They live no longer than their holder: then the pid is still the holder's.
    pub(super) fn is_alive(&self) -> bool {
        self.servers.iter().any(|(port, dir)| works_in(*port, dir))
    }

    /// Ends the holder, and waits until nothing is left of its servers.
    pub(super) fn end(&self) -> Result<()> {
        let pid = self.pid.to_string();
        eprintln!("$ kill {pid}");
        let status = Command::new("sh").args(["-c", r#"kill "$1""#, "kill", &pid]).status()?;
        ensure!(status.success(), "process {pid} cannot be killed");
        let deadline = Instant::now() + Duration::from_secs(5);
        while let Some((_, dir)) = self.servers.iter().find(|(_, dir)| dir.exists()) {
            ensure!(Instant::now() < deadline, "{} is still there", dir.display());
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

/// Whether the server on this port works in this directory. A sentinel does not say.
fn works_in(port: u16, dir: &Path) -> bool {
    let ask = || Connection::open(port, Duration::from_secs(5))?.call(&["CONFIG", "GET", "dir"]);
    let Ok(Reply::Array(answer)) = ask() else { return false };
    let named = answer.get(1).and_then(Reply::text);
    fs::canonicalize(dir).is_ok_and(|dir| named == dir.to_str())
}
