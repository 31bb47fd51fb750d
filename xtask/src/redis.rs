//! `cargo xtask redis up` and `down`: servers that outlive the command.
//!
//! Their directories are the state: these have fixed places, the first names the process that holds the leashes, and they
//! go with the servers.

mod holder;
mod topology;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use xtask::{binary, workspace};

use self::holder::Holder;
pub(crate) use self::topology::Topology;

/// Starts servers held by a process in the background, and prints their URL.
pub(crate) fn up(topology: Topology) -> Result<()> {
    if let Some(holder) = Holder::find(topology)? {
        eprintln!("already up");
        tell(topology, &holder.url);
        return Ok(());
    }
    let server = binary::find_or_install()?;
    let mut holder = Command::new(std::env::current_exe()?)
        .args(["redis", "up", &topology.to_string(), "--foreground"])
        .env(binary::VARIABLE, &server.path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Ctrl-C in this terminal is not for the servers.
        .process_group(0)
        .spawn()?;
    let mut url = String::new();
    BufReader::new(holder.stdout.take().context("the holder has no stdout")?).read_line(&mut url)?;
    if url.is_empty() {
        let mut errors = String::new();
        holder.stderr.take().context("the holder has no stderr")?.read_to_string(&mut errors)?;
        holder.wait()?;
        bail!("{topology} does not start:\n{}", errors.trim_end());
    }
    tell(topology, url.trim_end());
    Ok(())
}

/// Starts servers and stays until Ctrl-C, `redis down`, or their end.
pub(crate) fn hold(topology: Topology) -> Result<()> {
    let found = Holder::find(topology)?;
    ensure!(found.is_none(), "already up: `cargo xtask redis down {topology}` ends it");
    binary::find_or_install()?;
    fs::create_dir_all(workspace::state())?;
    let up = topology.start()?;
    let holder = Holder::of(&up);
    holder.write(topology)?;
    tell(topology, &holder.url);
    while holder.is_alive() {
        thread::sleep(Duration::from_secs(1));
    }
    bail!("{topology} is gone")
}

/// Ends the servers of `up`, all of them unless one topology is named.
pub(crate) fn down(topology: Option<Topology>) -> Result<()> {
    let mut ended = 0;
    for topology in topology.map_or(Topology::ALL.to_vec(), |one| vec![one]) {
        if let Some(holder) = Holder::find(topology)? {
            holder.end()?;
            ended += 1;
        }
    }
    if ended == 0 {
        eprintln!("no server is up");
    }
    Ok(())
}

/// The URL alone goes to stdout, for a variable of the shell.
fn tell(topology: Topology, url: &str) {
    if topology == Topology::Tls {
        for (what, file) in [("ca", "ca.pem"), ("client", "client.pem"), ("client key", "client.key.pem")] {
            eprintln!("{what}: {}", topology.home().join(file).display());
        }
    }
    println!("{url}");
}
