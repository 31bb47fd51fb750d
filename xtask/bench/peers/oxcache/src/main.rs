//! What oxcache does, in a process of its own: `oxcache-peer URL read TASKS`, told by lines of milliseconds what to do.

use std::hint::black_box;
use std::io::stdin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use oxcache::Cache;
use oxcache::backend::RedisBackend;
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Serialize, Deserialize)]
struct Record {
    id: u64,
    name: String,
    price_cents: u64,
    tags: Vec<String>,
}

/// So that what expires does not while it is measured.
const HOUR: Duration = Duration::from_secs(3600);

/// As many latencies as are told at least, if there are so many.
const TOLD: usize = 2000;

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let mut argument = || arguments.next().context("URL read TASKS");
    let (url, kind, tasks) = (argument()?, argument()?, argument()?.parse()?);
    ensure!(kind == "read", "{kind} is not what it does");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let cache = runtime.block_on(cache(&url, tasks))?;
    println!("{}", json!({ "ready": true }));
    for line in stdin().lines() {
        let time = Duration::from_millis(line?.parse()?);
        let (cpu, begun) = (client_us()?, Instant::now());
        let latencies = runtime.block_on(work(&cache, tasks, begun + time))?;
        let (elapsed, spent) = (begun.elapsed(), client_us()? - cpu);
        let step = (latencies.len() / TOLD).max(1);
        let some: Vec<_> = latencies.iter().step_by(step).map(|latency| micros(*latency)).collect();
        let told = json!({
            "ops": latencies.len(), "elapsed_us": micros(elapsed), "client_us": spent, "latencies_us": some,
        });
        println!("{told}");
    }
    Ok(())
}

/// As its guide builds one on Redis alone, with what is to be read.
async fn cache(url: &str, tasks: usize) -> Result<Arc<Cache<String, Record>>> {
    let redis = RedisBackend::new(url).await?;
    let cache: Cache<String, Record> = Cache::builder().backend_arc(Arc::new(redis)).ttl(HOUR).build().await?;
    for task in 0..tasks {
        cache.set(&key(task), &record(task)).await?;
    }
    Ok(Arc::new(cache))
}

fn key(task: usize) -> String {
    format!("oxcache:{task}")
}

fn record(task: usize) -> Record {
    let tags = vec!["kitchen".to_owned(), "steel".to_owned()];
    Record { id: task as u64, name: "kettle, stainless, 1.7 litres".to_owned(), price_cents: 4200, tags }
}

/// A closed loop per task.
async fn work(cache: &Arc<Cache<String, Record>>, tasks: usize, end: Instant) -> Result<Vec<Duration>> {
    let spawn = |task| tokio::spawn(repeat(cache.clone(), key(task), end));
    let running: Vec<_> = (0..tasks).map(spawn).collect();
    let mut all = Vec::new();
    for task in running {
        all.extend(task.await??);
    }
    Ok(all)
}

async fn repeat(cache: Arc<Cache<String, Record>>, key: String, end: Instant) -> Result<Vec<Duration>> {
    let (mut latencies, mut before) = (Vec::new(), Instant::now());
    while before < end {
        let found = cache.get(&key).await?.context("it is there")?;
        ensure!(black_box(found).price_cents == 4200, "another value");
        let after = Instant::now();
        latencies.push(after - before);
        before = after;
    }
    Ok(latencies)
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// The time all threads spent on a processor.
fn client_us() -> Result<f64> {
    let mut nanos = 0;
    for task in fs::read_dir("/proc/self/task")? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        nanos += text.split(' ').next().context("an empty schedstat")?.parse::<u64>()?;
    }
    Ok(nanos as f64 / 1e3)
}
