//! Peers that cannot be linked to: a process each that does what it is told by lines, where what it takes is at hand.

mod language;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use self::language::{LANGUAGES, Program};
use crate::histogram::Histogram;
use crate::scenario::{BoxFuture, Contender, Contenders, Sample};

/// What they are asked to do.
#[derive(Clone, Copy)]
pub(crate) enum Task {
    Lock,
    Check,
    /// A record from a cache, as the reads of `cache-get-json` have it.
    Read,
}

impl Task {
    fn name(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Check => "check",
            Self::Read => "read",
        }
    }
}

/// Everybody there is who does this, on this server.
pub(crate) fn all(url: &str, task: Task, tasks: usize) -> Result<Contenders> {
    let mut contenders = Contenders::new();
    for language in &LANGUAGES {
        // In this order: what nobody asks for is not made ready.
        let Some(name) = (language.name)(task) else { continue };
        let Some(program) = &*language.program else { continue };
        contenders.push(Box::new(Foreign::start(name, program, url, task, tasks)?));
    }
    Ok(contenders)
}

struct Foreign {
    name: &'static str,
    process: Child,
    orders: ChildStdin,
    reports: BufReader<ChildStdout>,
}

impl Foreign {
    fn start(name: &'static str, program: &Program, url: &str, task: Task, tasks: usize) -> Result<Self> {
        let mut process = program
            .command()
            .args([url, task.name(), &tasks.to_string()])
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
