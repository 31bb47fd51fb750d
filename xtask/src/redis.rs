//! `cargo xtask redis up` and `down`: a server that outlives the command.
//!
//! Its directory is its state: it has a fixed place, names the process that holds the leash, and goes with the server.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use xtask::resp::{Connection, Reply};
use xtask::{binary, fixture::Server, workspace};

/// The process that holds the server, and where the server answers.
struct Holder {
    pid: u32,
    port: u16,
}

/// Starts a server held by a process in the background, and prints its URL.
pub(crate) fn up(topology: Option<&str>) -> Result<()> {
    known(topology)?;
    if let Some(holder) = running()? {
        eprintln!("already up");
        println!("redis://127.0.0.1:{}", holder.port);
        return Ok(());
    }
    let server = binary::find_or_install()?;
    let mut holder = Command::new(std::env::current_exe()?)
        .args(["redis", "up", "--foreground"])
        .env(binary::VARIABLE, &server.path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Ctrl-C in this terminal is not for the server.
        .process_group(0)
        .spawn()?;
    let mut url = String::new();
    BufReader::new(holder.stdout.take().context("the holder has no stdout")?).read_line(&mut url)?;
    if url.is_empty() {
        let mut errors = String::new();
        holder.stderr.take().context("the holder has no stderr")?.read_to_string(&mut errors)?;
        holder.wait()?;
        bail!("the server does not start:\n{}", errors.trim_end());
    }
    print!("{url}");
    Ok(())
}

/// Starts a server and stays until Ctrl-C, `redis down`, or the server's end.
pub(crate) fn hold(topology: Option<&str>) -> Result<()> {
    known(topology)?;
    ensure!(running()?.is_none(), "already up: `cargo xtask redis down` ends it");
    binary::find_or_install()?;
    fs::create_dir_all(workspace::state())?;
    let server = Server::in_dir(dir(), &[])?;
    let new = dir().join("holder.new");
    fs::write(&new, format!("{} {}\n", std::process::id(), server.port()))?;
    fs::rename(new, dir().join("holder"))?;
    println!("{}", server.url());
    while ours(server.port()) {
        thread::sleep(Duration::from_secs(1));
    }
    bail!("the server is gone")
}

/// Ends the server of `up`, and waits until nothing is left of it.
pub(crate) fn down() -> Result<()> {
    let Some(holder) = running()? else {
        eprintln!("no server is up");
        return Ok(());
    };
    let pid = holder.pid.to_string();
    eprintln!("$ kill {pid}");
    let status = Command::new("sh").args(["-c", r#"kill "$1""#, "kill", &pid]).status()?;
    ensure!(status.success(), "process {pid} cannot be killed");
    let deadline = Instant::now() + Duration::from_secs(5);
    while dir().exists() {
        ensure!(Instant::now() < deadline, "{} is still there", dir().display());
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

fn dir() -> PathBuf {
    workspace::state().join("redis-up")
}

fn known(topology: Option<&str>) -> Result<()> {
    match topology {
        None | Some("standalone") => Ok(()),
        Some(other) => bail!("unknown topology {other}: there is only standalone so far"),
    }
}

/// The holder of a server that is verifiably ours. What a killed leash left behind is removed.
fn running() -> Result<Option<Holder>> {
    let dir = dir();
    if !dir.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(dir.join("holder"));
    let text = text.with_context(|| format!("{} is starting or broken: try again, or remove it", dir.display()))?;
    let (pid, port) = text.trim().split_once(' ').context("a holder is a pid and a port")?;
    let holder = Holder { pid: pid.parse()?, port: port.parse()? };
    // The server lives no longer than its holder: when it answers, the pid is still the holder's.
    if ours(holder.port) {
        return Ok(Some(holder));
    }
    eprintln!("nothing answers: removing {}", dir.display());
    fs::remove_dir_all(&dir)?;
    Ok(None)
}

/// Whether the server on this port works in our directory.
fn ours(port: u16) -> bool {
    let ask = || Connection::open(port, Duration::from_secs(5))?.call(&["CONFIG", "GET", "dir"]);
    let Ok(Reply::Array(answer)) = ask() else { return false };
    let named = answer.get(1).and_then(Reply::text);
    fs::canonicalize(dir()).is_ok_and(|dir| named == dir.to_str())
}
