//! The system's package manager, where it asks no question.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::{Binary, prepared};

// The same file as Debian's `/usr/bin/redis-server`: called by that name it is the server. It comes without the service
// which the package `redis-server` starts on port 6379.
const MULTI_CALL: &str = "/usr/bin/redis-check-rdb";

/// `redis-tools` by apt-get, as root or with `sudo -n`.
pub(super) fn apt() -> Result<Binary> {
    ensure!(on_path("apt-get"), "not here");
    if !Path::new(MULTI_CALL).exists() {
        let sudo = sudo()?;
        let apt = |args: &[&str]| {
            let front = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-o", "DPkg::Lock::Timeout=60"];
            let words: Vec<&str> = sudo.iter().chain(&front).chain(args).copied().collect();
            run(&words)
        };
        let install = ["install", "-y", "--no-install-recommends", "redis-tools"];
        // A list of packages that is missing or old fails the first attempt.
        if apt(&install).is_err() {
            apt(&["update"])?;
            apt(&install)?;
        }
    }
    ensure!(Path::new(MULTI_CALL).exists(), "redis-tools has no {MULTI_CALL}");
    accept(|new| Ok(symlink(MULTI_CALL, new)?), "redis-tools by apt-get")
}

/// `redis` by brew.
pub(super) fn brew() -> Result<Binary> {
    ensure!(on_path("brew"), "not here");
    run(&["env", "HOMEBREW_NO_AUTO_UPDATE=1", "brew", "install", "redis"])?;
    let prefix = run(&["brew", "--prefix", "redis"])?;
    Binary::check(&Path::new(prefix.trim()).join("bin/redis-server"), "by brew")
}

/// Puts a server where later runs find it, but only if it works.
pub(super) fn accept(put: impl FnOnce(&Path) -> Result<()>, origin: &'static str) -> Result<Binary> {
    let path = prepared();
    fs::create_dir_all(path.parent().context("no folder for the server")?)?;
    let new: PathBuf = path.with_extension(format!("new-{}", std::process::id()));
    let accepted = put(&new).and_then(|()| {
        Binary::check(&new, origin)?;
        Ok(fs::rename(&new, &path)?)
    });
    // After a rename there is nothing to remove.
    let _ = fs::remove_file(&new);
    accepted?;
    Binary::check(&path, origin)
}

/// Runs a command to its end, shows it as it would be typed, and returns what it printed.
pub(super) fn run(words: &[&str]) -> Result<String> {
    let line = words.join(" ");
    eprintln!("$ {line}");
    let (program, args) = words.split_first().context("no command")?;
    let output = Command::new(program).args(args).stdin(Stdio::null()).output().with_context(|| line.clone())?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("`{line}`: {}", errors.trim().lines().last().unwrap_or("failed without a word"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a program of this name is on PATH.
pub(super) fn on_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(name).is_file())
}

fn sudo() -> Result<&'static [&'static str]> {
    let quiet = |program: &str, args: &[&str]| Command::new(program).args(args).stdin(Stdio::null()).output();
    if quiet("id", &["-u"]).is_ok_and(|id| id.stdout.trim_ascii() == b"0") {
        return Ok(&[]);
    }
    let allowed = quiet("sudo", &["-n", "true"]).is_ok_and(|sudo| sudo.status.success());
    ensure!(allowed, "neither root nor `sudo -n`");
    Ok(&["sudo", "-n"])
}
