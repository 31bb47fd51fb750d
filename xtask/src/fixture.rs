//! Servers of our own, which die with their owner.

mod leash;
mod port;
mod proxy;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use self::leash::Leash;
use self::port::Port;
pub use self::proxy::Proxy;
use crate::binary;
use crate::resp::{Connection, Reply};

const DEADLINE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(2);
const DEFAULTS: [&str; 10] =
    ["--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--daemonize", "no", "--loglevel", "notice"];

/// A standalone Redis on a loopback port, in a directory of its own.
///
/// Dropping it kills the process and removes the directory. The same happens when this process ends in any other way,
/// `kill -9` included.
#[derive(Debug)]
pub struct Server {
    leash: Mutex<Leash>,
    port: Port,
    dir: PathBuf,
}

impl Server {
    /// Starts a server and returns when it answers.
    pub fn start() -> Result<Self> {
        Self::with_args(&[])
    }

    /// Like [`Server::start`], with more arguments for the server: `&["--requirepass", "secret"]`.
    ///
    /// They win over the defaults, but the log has to stay at `notice`: it says when the server is ready.
    pub fn with_args(args: &[&str]) -> Result<Self> {
        let name = format!("xtask-redis-{}-{:016x}", std::process::id(), port::random());
        Self::in_dir(std::env::temp_dir().join(name), args)
    }

    /// Like [`Server::with_args`], in a directory that must not exist yet: it comes and goes with the server.
    pub fn in_dir(dir: PathBuf, args: &[&str]) -> Result<Self> {
        ensure!(!dir.exists(), "{} is there already", dir.display());
        let binary = binary::find()?;
        let args: Vec<String> = DEFAULTS.iter().chain(args).map(|&arg| arg.to_owned()).collect();
        let mut leash = Leash::new(dir.clone(), &binary.path, &args)?;
        let started = Instant::now();
        loop {
            let port = Port::free()?;
            if launch(&mut leash, port.number(), started)? {
                return Ok(Self { leash: Mutex::new(leash), port, dir });
            }
        }
    }

    /// `redis://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port())
    }

    /// The port, which stays the same over [`Server::restart`].
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The directory the server works in; it goes with the server.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Kills the server (SIGKILL) and returns when the process is gone. The directory stays for [`Server::restart`].
    pub fn kill(&self) -> Result<()> {
        self.leash().kill()
    }

    /// Starts the server again on the same port and in the same directory, killing it first if it runs.
    pub fn restart(&self) -> Result<()> {
        let mut leash = self.leash();
        leash.kill()?;
        let started = Instant::now();
        // Somebody who holds our port may let it go.
        while !launch(&mut leash, self.port(), started)? {
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Freezes the process (SIGSTOP): connections stay open, nothing answers.
    pub fn pause(&self) -> Result<()> {
        self.leash().signal("STOP")
    }

    /// Lets a paused process go on (SIGCONT).
    pub fn resume(&self) -> Result<()> {
        self.leash().signal("CONT")
    }

    /// Sends one command over a connection of its own.
    pub fn call(&self, command: &[&str]) -> Result<Reply> {
        Connection::open(self.port(), DEADLINE)?.call(command)
    }

    /// The last lines of the server's log.
    pub fn log_tail(&self) -> String {
        tail(&self.leash().log(0))
    }

    fn leash(&self) -> MutexGuard<'_, Leash> {
        self.leash.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the server and waits until it answers; `false` when the port belongs to somebody else.
fn launch(leash: &mut Leash, port: u16, started: Instant) -> Result<bool> {
    let before = leash.log(0).len();
    leash.start(port)?;
    loop {
        let log = leash.log(before);
        // Only its own log tells our server from a stranger on the same port.
        if log.contains("eady to accept connections") && answers(port) {
            return Ok(true);
        }
        let alive = leash.alive()?;
        if !alive && leash.log(before).contains("ddress already in use") {
            ensure!(started.elapsed() < DEADLINE, "port {port} stays taken");
            return Ok(false);
        }
        if !alive || started.elapsed() > DEADLINE {
            let log = tail(&leash.log(before));
            leash.kill()?;
            bail!("redis-server {}:\n{log}", if alive { "does not answer within 10 s" } else { "ends by itself" });
        }
        thread::sleep(POLL);
    }
}

fn answers(port: u16) -> bool {
    let ping = || Connection::open(port, Duration::from_secs(1)).context("no connection")?.call(&["PING"]);
    match ping() {
        Ok(Reply::Status(status)) => status == "PONG",
        // It asks for a password: it is up. `LOADING` is not.
        Ok(Reply::Error(error)) => error.starts_with("NOAUTH"),
        Ok(_) | Err(_) => false,
    }
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_port_somebody_took_is_left_to_them() -> Result<()> {
        let stranger = TcpListener::bind("127.0.0.1:0")?;
        let dir = std::env::temp_dir().join(format!("xtask-redis-{}-taken", std::process::id()));
        let args: Vec<String> = DEFAULTS.map(str::to_owned).to_vec();
        let mut leash = Leash::new(dir, &binary::find()?.path, &args)?;
        assert!(!launch(&mut leash, stranger.local_addr()?.port(), Instant::now())?);
        assert!(launch(&mut leash, Port::free()?.number(), Instant::now())?);
        Ok(())
    }
}
