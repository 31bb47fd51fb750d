//! `cargo xtask redis`: servers that outlive the command, but not the process that holds them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use xtask::binary;
use xtask::resp::{Connection, Reply};

/// A target directory of its own, as each test wants its own state.
fn target(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()))
}

fn command(target: &Path, words: &[&str]) -> Result<Command> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("redis").args(words).env("CARGO_TARGET_DIR", target).env(binary::VARIABLE, binary::find()?.path);
    Ok(command)
}

fn redis(target: &Path, words: &[&str]) -> Result<String> {
    let output = command(target, words)?.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// The ports and the directories of what is up.
fn servers(holder: &Path) -> Result<Vec<(u16, PathBuf)>> {
    let text = fs::read_to_string(holder)?;
    let server = |line: &str| {
        let (port, dir) = line.split_once(' ').context("a port and a directory")?;
        anyhow::Ok((port.parse()?, dir.into()))
    };
    text.lines().skip(2).map(server).collect()
}

fn pong(port: u16) -> bool {
    let ping = || Connection::open(port, Duration::from_secs(1))?.call(&["PING"]);
    ping().is_ok_and(|reply| reply == Reply::Status("PONG".into()))
}

fn a_killed_holder_leaves_nothing(topology: &str, home: &str, count: usize) -> Result<()> {
    let target = target(&format!("holder-{topology}"));
    let mut holder = command(&target, &["up", topology, "--foreground"])?.stdout(Stdio::piped()).spawn()?;
    let mut url = String::new();
    BufReader::new(holder.stdout.take().context("piped")?).read_line(&mut url)?;
    assert!(url.contains("://127.0.0.1:"), "{url}");
    let servers = servers(&target.join("xtask").join(home).join("holder"))?;
    assert_eq!(servers.len(), count);
    assert!(servers.iter().all(|(port, dir)| dir.is_dir() && pong(*port)));
    // SIGKILL: the holder gets no chance to clean up.
    holder.kill()?;
    holder.wait()?;
    let deadline = Instant::now() + Duration::from_secs(5);
    for (port, dir) in servers {
        while dir.exists() || pong(port) {
            ensure!(Instant::now() < deadline, "port {port} or {} is still there", dir.display());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    assert_eq!(fs::read_dir(target.join("xtask"))?.count(), 0);
    Ok(fs::remove_dir_all(target)?)
}

#[test]
fn a_killed_holder_leaves_no_server() -> Result<()> {
    a_killed_holder_leaves_nothing("standalone", "redis-up-standalone", 1)?;
    a_killed_holder_leaves_nothing("tls", "redis-up-tls", 1)
}

#[test]
fn a_killed_holder_leaves_no_cluster() -> Result<()> {
    a_killed_holder_leaves_nothing("cluster", "redis-up-cluster-0", 6)
}

#[test]
fn a_killed_holder_leaves_no_sentinels() -> Result<()> {
    a_killed_holder_leaves_nothing("sentinel", "redis-up-sentinel-0", 6)
}

/// Cluster and sentinels start their servers before these know each other: a holder that dies meanwhile leaves nothing.
#[test]
fn a_start_that_is_killed_leaves_nothing() -> Result<()> {
    for (topology, last) in [("cluster", "redis-up-cluster-5"), ("sentinel", "redis-up-sentinel-sentinel-0")] {
        let target = target(&format!("aborted-{topology}"));
        let mut holder = command(&target, &["up", topology, "--foreground"])?.stdout(Stdio::null()).spawn()?;
        let deadline = Instant::now() + Duration::from_secs(5);
        let state = target.join("xtask");
        while !state.join(last).exists() {
            ensure!(Instant::now() < deadline, "no {last}");
            std::thread::sleep(Duration::from_millis(1));
        }
        holder.kill()?;
        holder.wait()?;
        while fs::read_dir(&state)?.count() > 0 {
            ensure!(Instant::now() < deadline, "something is left in {}", state.display());
            std::thread::sleep(Duration::from_millis(2));
        }
        fs::remove_dir_all(target)?;
    }
    Ok(())
}

#[test]
fn up_and_down_leave_nothing() -> Result<()> {
    let target = target("updown");
    let redis = |words: &[&str]| redis(&target, words);
    let url = redis(&["up"])?;
    assert_eq!(redis(&["up", "standalone"])?, url, "the second call finds the first server");
    let tls = redis(&["up", "tls"])?;
    assert!(tls.starts_with("rediss://127.0.0.1:"), "{tls}");
    let ca = target.join("xtask/redis-up-tls/ca.pem");
    assert!(fs::read_to_string(&ca)?.contains("BEGIN CERTIFICATE"));
    let port = url.trim().rsplit(':').next().context("a URL")?.parse()?;
    redis(&["down", "tls"])?;
    assert!(!ca.exists() && pong(port), "the other stays");
    redis(&["up", "tls"])?;
    redis(&["down"])?;
    assert_eq!(fs::read_dir(target.join("xtask"))?.count(), 0);
    assert!(!pong(port));
    redis(&["down"])?;
    let error = redis(&["up", "ring"]).expect_err("no such topology");
    assert!(error.to_string().contains("unknown topology ring"), "{error:#}");
    Ok(fs::remove_dir_all(target)?)
}
