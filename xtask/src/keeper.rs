//! Commands that run our code end when this process ends, and so do their children.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use xshell::Cmd;

/// Runs a command to its end, like [`Cmd::run`], in a process group that does not outlive this process.
///
/// Killing this process alone, or with Ctrl-C, interrupts the whole group, and kills it after two seconds.
pub(crate) fn run(cmd: Cmd<'_>) -> Result<()> {
    let line = cmd.to_string();
    eprintln!("$ {line}");
    let mut child = Command::from(cmd).stdin(Stdio::null()).process_group(0).spawn().with_context(|| line.clone())?;
    let mut keeper = Command::new("sh")
        .args(["-c", include_str!("keeper.sh"), "keeper", &child.id().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .context("sh does not start")?;
    let status = child.wait()?;
    // A keeper that is gone keeps nothing.
    let _ = keeper.stdin.take().map(|mut stdin| writeln!(stdin, "done"));
    keeper.wait()?;
    ensure!(status.success(), "`{line}`: {status}");
    Ok(())
}
