//! A process that wants a lock: this program again, told what to do by its environment and by lines on its standard input.

use std::env;
use std::io::{BufRead, BufReader, Write, stdin};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::runtime::Builder;

use super::crowd::KINDS;
use super::section::Section;
use crate::meter;

/// How many tasks a worker has.
pub(super) const TASKS: usize = 4;

/// The name of the contender, and where the server is.
const KIND: &str = "BENCH_LOCK_WORKER";
const URL: &str = "BENCH_LOCK_URL";

/// Works as a worker, if this process is one: for as many milliseconds as each line says.
pub(crate) fn serve() -> Option<Result<()>> {
    let (name, url) = (env::var(KIND).ok()?, env::var(URL).ok()?);
    Some(work(&name, &url))
}

fn work(name: &str, url: &str) -> Result<()> {
    let kind = KINDS.into_iter().find(|kind| kind.name == name).with_context(|| format!("no contender {name}"))?;
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let mut crowd = runtime.block_on(kind.gather(url, TASKS, false))?;
    println!("{}", json!({ "ready": true }));
    for line in stdin().lines() {
        let time = Duration::from_millis(line?.parse()?);
        let before = meter::client_us();
        let sections = runtime.block_on(crowd.work(time))?;
        let spent = meter::client_us().zip(before).map(|(now, then)| now - then);
        let sections: Vec<_> = sections.into_iter().map(Section::fields).collect();
        println!("{}", json!({ "client_us": spent, "sections": sections }));
    }
    Ok(())
}

/// The other side of it. Dropping it ends the process.
pub(super) struct Worker {
    process: Child,
    orders: ChildStdin,
    reports: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts a process, where this one is pinned to; it is ready when it has connected.
    pub(super) fn start(name: &str, url: &str) -> Result<Self> {
        let mut process = Command::new(env::current_exe()?)
            .envs([(KIND, name), (URL, url)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let orders = process.stdin.take().context("no standard input")?;
        let reports = BufReader::new(process.stdout.take().context("no standard output")?);
        let mut worker = Self { process, orders, reports };
        worker.hear()?;
        Ok(worker)
    }

    pub(super) fn order(&mut self, time: Duration) -> Result<()> {
        writeln!(self.orders, "{}", time.as_millis())?;
        Ok(self.orders.flush()?)
    }

    /// What came of the last order, and the processor time it took.
    pub(super) fn report(&mut self) -> Result<(Vec<Section>, f64)> {
        let mut report = self.hear()?;
        let sections: Vec<[u64; 5]> = serde_json::from_value(report["sections"].take())?;
        let spent = report["client_us"].as_f64().unwrap_or_default();
        Ok((sections.into_iter().map(Section::from_fields).collect(), spent))
    }

    fn hear(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.reports.read_line(&mut line)?;
        serde_json::from_str(&line).context("a worker has ended")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
