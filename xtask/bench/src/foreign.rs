//! Peers in other languages: a process each that does what it is told by lines, where node and Python are at hand.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::histogram::Histogram;
use crate::scenario::{BoxFuture, Contender, Contenders, Sample};

/// What they are asked to do.
#[derive(Clone, Copy)]
pub(crate) enum Task {
    Lock,
    Check,
}

impl Task {
    fn name(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Check => "check",
        }
    }
}

/// A language, and what it needs.
struct Language {
    program: &'static str,
    script: &'static str,
    /// Says where its packages are.
    variable: &'static str,
    packages: PathBuf,
}

/// Those that are there, with their packages.
static LANGUAGES: LazyLock<Vec<Language>> = LazyLock::new(|| {
    let languages = [node as fn() -> Result<Language>, python].into_iter();
    let there = languages.filter_map(|language| language().inspect_err(|error| eprintln!("left out: {error:#}")).ok());
    there.collect()
});

const PEERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers");

/// Everybody there is, on this server.
pub(crate) fn all(url: &str, task: Task, tasks: usize) -> Result<Contenders> {
    let mut contenders = Contenders::new();
    for language in &*LANGUAGES {
        let name = match (language.program, task) {
            ("node", Task::Lock) => "redlock 4.2.0, ioredis 6.0.0, no fence",
            ("node", Task::Check) => "rate-limiter-flexible 11.4.0, fixed window",
            (_, Task::Lock) => "redis-py 8.1.0, no fence",
            (_, Task::Check) => "limits 5.8.0, redis-py 8.1.0, fixed window",
        };
        contenders.push(Box::new(Foreign::start(name, language, url, task, tasks)?));
    }
    Ok(contenders)
}

fn folder(name: &str) -> Result<PathBuf> {
    let folder = xtask::workspace::target().join("bench").join(name);
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn node() -> Result<Language> {
    let folder = folder("node")?;
    fs::copy(Path::new(PEERS).join("package.json"), folder.join("package.json"))?;
    // A script finds the packages beside it.
    fs::copy(Path::new(PEERS).join("peer.mjs"), folder.join("peer.mjs"))?;
    run(Command::new("npm").args(["install", "--silent", "--no-audit", "--no-fund"]).current_dir(&folder))?;
    Ok(Language { program: "node", script: "peer.mjs", variable: "NODE_PATH", packages: folder })
}

fn python() -> Result<Language> {
    let folder = folder("python")?;
    fs::copy(Path::new(PEERS).join("peer.py"), folder.join("peer.py"))?;
    if !folder.join("limits").exists() {
        let wanted = Path::new(PEERS).join("requirements.txt");
        run(Command::new("python3")
            .args(["-m", "pip", "install", "--quiet", "--target"])
            .arg(&folder)
            .arg("-r")
            .arg(wanted))?;
    }
    Ok(Language { program: "python3", script: "peer.py", variable: "PYTHONPATH", packages: folder })
}

fn run(command: &mut Command) -> Result<()> {
    let told = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    let status = told.with_context(|| format!("{} is not there", command.get_program().display()))?;
    ensure!(status.success(), "{}: {status}", command.get_program().display());
    Ok(())
}

struct Foreign {
    name: &'static str,
    process: Child,
    orders: ChildStdin,
    reports: BufReader<ChildStdout>,
}

impl Foreign {
    fn start(name: &'static str, language: &Language, url: &str, task: Task, tasks: usize) -> Result<Self> {
        let mut process = Command::new(language.program)
            .arg(language.packages.join(language.script))
            .args([url, task.name(), &tasks.to_string()])
            .env(language.variable, &language.packages)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let orders = process.stdin.take().context("no standard input")?;
        let reports = BufReader::new(process.stdout.take().context("no standard output")?);
        let mut foreign = Self { name, process, orders, reports };
        foreign.hear()?;
        Ok(foreign)
    }

    fn hear(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.reports.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("{} has ended", self.name))
    }

    fn turn(&mut self, time: Duration) -> Result<Sample> {
        writeln!(self.orders, "{}", time.as_millis())?;
        let told = self.hear()?;
        let number = |field: &str| told[field].as_f64().with_context(|| format!("{}: no {field}", self.name));
        let mut latencies = Histogram::default();
        let micros = told["latencies_us"].as_array().into_iter().flatten().filter_map(Value::as_f64);
        micros.for_each(|micros| latencies.record(Duration::from_secs_f64(micros / 1e6)));
        Ok(Sample {
            ops: told["ops"].as_u64().context("no operations")?,
            elapsed: Duration::from_secs_f64(number("elapsed_us")? / 1e6),
            latencies,
            figures: Vec::new(),
            elsewhere_us: number("client_us")?,
        })
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Contender for Foreign {
    fn name(&self) -> &'static str {
        self.name
    }

    /// They are taken as they are.
    fn commands(&self) -> &'static [(&'static str, u64)] {
        &[]
    }

    fn work(&mut self, time: Duration) -> BoxFuture<'_, Result<Sample>> {
        Box::pin(async move { self.turn(time) })
    }
}
