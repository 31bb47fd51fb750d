//! What a peer is written in, and what it takes to run it.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use anyhow::{Context, Result, ensure};

use super::Task;

/// A language, or a package that cannot share a lock file with this one.
pub(super) struct Language {
    /// What a row of it is called; `None` where nobody does this.
    pub(super) name: fn(Task) -> Option<&'static str>,
    /// Made ready when a scenario asks for it, and left out with a word where that fails.
    pub(super) program: LazyLock<Option<Program>>,
}

pub(super) static LANGUAGES: [Language; 3] = [
    Language {
        name: |task| match task {
            Task::Lock => Some("redlock 4.2.0, ioredis 6.0.0, no fence"),
            Task::Check => Some("rate-limiter-flexible 11.4.0, fixed window"),
            Task::Read => None,
        },
        program: LazyLock::new(|| or_left_out(node())),
    },
    Language {
        name: |task| match task {
            Task::Lock => Some("redis-py 8.1.0, no fence"),
            Task::Check => Some("limits 5.8.0, redis-py 8.1.0, fixed window"),
            Task::Read => None,
        },
        program: LazyLock::new(|| or_left_out(python())),
    },
    Language {
        name: |task| match task {
            Task::Read => Some("oxcache 0.4.3, redis backend"),
            Task::Lock | Task::Check => None,
        },
        program: LazyLock::new(|| or_left_out(oxcache())),
    },
];

/// What runs, before it is told the server and the task.
pub(super) struct Program {
    program: PathBuf,
    arguments: Vec<PathBuf>,
    variable: (&'static str, OsString),
}

impl Program {
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env(self.variable.0, &self.variable.1);
        command
    }
}

const PEERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers");

fn or_left_out(program: Result<Program>) -> Option<Program> {
    program.inspect_err(|error| eprintln!("left out: {error:#}")).ok()
}

fn node() -> Result<Program> {
    let folder = folder("node")?;
    fs::copy(Path::new(PEERS).join("package.json"), folder.join("package.json"))?;
    // A script finds the packages beside it.
    let script = folder.join("peer.mjs");
    fs::copy(Path::new(PEERS).join("peer.mjs"), &script)?;
    run(Command::new("npm").args(["install", "--silent", "--no-audit", "--no-fund"]).current_dir(&folder))?;
    Ok(Program { program: "node".into(), arguments: vec![script], variable: ("NODE_PATH", folder.into()) })
}

fn python() -> Result<Program> {
    let folder = folder("python")?;
    let script = folder.join("peer.py");
    fs::copy(Path::new(PEERS).join("peer.py"), &script)?;
    if !folder.join("limits").exists() {
        let wanted = Path::new(PEERS).join("requirements.txt");
        run(Command::new("python3")
            .args(["-m", "pip", "install", "--quiet", "--target"])
            .arg(&folder)
            .arg("-r")
            .arg(wanted))?;
    }
    Ok(Program { program: "python3".into(), arguments: vec![script], variable: ("PYTHONPATH", folder.into()) })
}

fn oxcache() -> Result<Program> {
    let folder = folder("oxcache")?;
    let program = folder.join("release/oxcache-peer");
    if !program.exists() {
        eprintln!("building oxcache, this once");
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    run(Command::new(cargo)
        .args(["build", "--quiet", "--release", "--locked", "--manifest-path"])
        .arg(Path::new(PEERS).join("oxcache/Cargo.toml"))
        .arg("--target-dir")
        .arg(&folder))
    .context("oxcache")?;
    // It refuses a server without TLS unless it is told what that means.
    let variable = ("OXCACHE_ALLOW_INSECURE_REDIS", "development-only".into());
    Ok(Program { program, arguments: Vec::new(), variable })
}

fn folder(name: &str) -> Result<PathBuf> {
    let folder = xtask::workspace::target().join("bench").join(name);
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn run(command: &mut Command) -> Result<()> {
    let told = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    let status = told.with_context(|| format!("{} is not there", command.get_program().display()))?;
    ensure!(status.success(), "{}: {status}", command.get_program().display());
    Ok(())
}
