//! A stampede from several processes: this program again, told what to do by its environment and by lines.

use std::env;
use std::io::{BufRead, BufReader, Write, stdin};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::replay;
use super::stampede::{LOAD, Reader};
use crate::meter;
use crate::scenario::{BoxFuture, Contender, Contenders, Sample};

const KIND: &str = "BENCH_CACHE_WORKER";
const URL: &str = "BENCH_CACHE_URL";

/// What the client sends; what scripts do counts apart.
pub(super) const SENT: &[&str] = &["get", "evalsha", "eval", "script|load", "subscribe", "hello", "ping"];

pub(super) fn contenders(url: String) -> BoxFuture<'static, Result<Contenders>> {
    Box::pin(async move {
        let rows = [
            ("moka, which knows one process, in 4", "moka", 4, 2000),
            ("redis-cache, 4 processes", "redis-cache", 4, 2000),
            ("redis-cache, 8 processes, 10,000 gets", "redis-cache", 8, 10_000),
            ("cached, redis store, 4 processes", "cached", 4, 2000),
        ];
        let mut contenders = Contenders::new();
        for (name, kind, processes, gets) in rows {
            let workers = (0..processes).map(|_| Worker::start(kind, &url)).collect::<Result<_>>()?;
            contenders.push(Box::new(Crowd { name, workers, gets, runs: 0 }));
        }
        Ok(contenders)
    })
}

/// Works as a worker, if this process is one: each line is a key, and how many want it.
pub(crate) fn serve() -> Option<Result<()>> {
    let (kind, url) = (env::var(KIND).ok()?, env::var(URL).ok()?);
    Some(work(&kind, &url))
}

fn work(kind: &str, url: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if let Some(kind) = kind.strip_prefix(replay::KIND) {
        return runtime.block_on(async { replay::work(Reader::of(kind, url).await?).await });
    }
    let reader = runtime.block_on(Reader::of(kind, url))?;
    println!("{}", json!({ "ready": true }));
    for line in stdin().lines() {
        let line = line?;
        let (key, gets) = line.split_once(' ').context("a key and a number")?;
        let (key, gets): (String, usize) = (key.to_owned(), gets.parse()?);
        let (before, loads) = (meter::client_us(), Arc::new(AtomicU64::new(0)));
        runtime.block_on(async {
            let mut all = JoinSet::new();
            for _ in 0..gets {
                let (reader, key, loads) = (reader.clone(), key.clone(), loads.clone());
                all.spawn(async move { reader.get(key, LOAD, &loads).await });
            }
            while let Some(got) = all.join_next().await {
                ensure!(got?? == "loaded", "another value");
            }
            anyhow::Ok(())
        })?;
        let spent = meter::client_us().zip(before).map(|(now, then)| now - then);
        println!("{}", json!({ "loads": loads.load(Ordering::Relaxed), "client_us": spent }));
    }
    Ok(())
}

/// Dropping it ends the process.
pub(super) struct Worker {
    process: Child,
    orders: ChildStdin,
    reports: BufReader<ChildStdout>,
}

impl Worker {
    pub(super) fn start(kind: &str, url: &str) -> Result<Self> {
        let mut process = Command::new(env::current_exe()?)
            .envs([(KIND, kind), (URL, url)])
            .envs(replay::environment())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let orders = process.stdin.take().context("no standard input")?;
        let reports = BufReader::new(process.stdout.take().context("no standard output")?);
        let mut worker = Self { process, orders, reports };
        worker.hear()?;
        Ok(worker)
    }

    pub(super) fn order(&mut self, line: &str) -> Result<()> {
        writeln!(self.orders, "{line}")?;
        Ok(self.orders.flush()?)
    }

    pub(super) fn hear(&mut self) -> Result<Value> {
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

struct Crowd {
    name: &'static str,
    workers: Vec<Worker>,
    gets: usize,
    runs: u64,
}

impl Contender for Crowd {
    fn name(&self) -> &'static str {
        self.name
    }

    fn commands(&self) -> &'static [(&'static str, u64)] {
        &[]
    }

    fn sent(&self) -> &'static [&'static str] {
        SENT
    }

    fn work(&mut self, time: Duration) -> BoxFuture<'_, Result<Sample>> {
        Box::pin(async move {
            let (begun, mut sample, mut loads, mut behind) = (Instant::now(), Sample::default(), 0, Duration::ZERO);
            while begun.elapsed() < time {
                self.runs += 1;
                let each = self.gets / self.workers.len();
                let line = format!("key-{}-{} {each}", self.workers.len(), self.runs);
                let asked = Instant::now();
                self.workers.iter_mut().try_for_each(|worker| worker.order(&line))?;
                for worker in &mut self.workers {
                    let told = worker.hear()?;
                    loads += told["loads"].as_u64().unwrap_or_default();
                    sample.elsewhere_us += told["client_us"].as_f64().unwrap_or_default();
                }
                sample.latencies.record(asked.elapsed());
                behind += asked.elapsed().saturating_sub(LOAD);
                sample.ops += 1;
            }
            sample.elapsed = begun.elapsed();
            let each = 1.0 / sample.ops as f64;
            sample.figures =
                vec![("loads", loads as f64 * each), ("last, ms after the load", behind.as_secs_f64() * 1e3 * each)];
            Ok(sample)
        })
    }
}
