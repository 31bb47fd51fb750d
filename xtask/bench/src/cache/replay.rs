//! The reads of a trace, from several processes.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, stdin};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use std::{env, iter};

use anyhow::{Context, Result};
use flate2::bufread::MultiGzDecoder;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use tokio::task::JoinSet;

use super::processes::{SENT, Worker};
use super::stampede::Reader;
use crate::meter;
use crate::scenario::{BoxFuture, Contender, Contenders, Sample, TURN};

/// Where the workers find it.
const VARIABLE: &str = "BENCH_CACHE_TRACE";
static TRACE: OnceLock<PathBuf> = OnceLock::new();

/// How many reads of a trace, in a turn of the usual length.
const READS: usize = 200_000;
/// Of how many pages, when they are drawn.
const PAGES: f64 = 50_000.0;
const PROCESSES: usize = 4;
const TASKS: usize = 16;
const LOAD: Duration = Duration::from_millis(1);
/// What the kinds of these workers begin with.
pub(super) const KIND: &str = "replay ";

/// Has the pages from this file: lines `start count ignore sequence`, plain or gzip. Without one they are drawn.
pub(crate) fn choose(trace: PathBuf) {
    // Only the first one counts, and there is one command line.
    let _ = TRACE.set(trace);
}

/// What a worker's environment has, so that it reads the same.
pub(super) fn environment() -> Option<(&'static str, PathBuf)> {
    let inherited = || env::var_os(VARIABLE).map(PathBuf::from);
    TRACE.get().cloned().or_else(inherited).map(|path| (VARIABLE, path))
}

pub(super) fn contenders(url: String) -> BoxFuture<'static, Result<Contenders>> {
    Box::pin(async move {
        let pages: Arc<[u64]> = pages()?.into();
        let rows = [
            ("moka, which knows one process, in 4", "moka"),
            ("redis-cache, 4 processes", "redis-cache"),
            ("cached, redis store, 4 processes", "cached"),
        ];
        let mut contenders = Contenders::new();
        for (name, kind) in rows {
            contenders.push(Box::new(Replay {
                name,
                kind,
                url: url.clone(),
                workers: Vec::new(),
                runs: 0,
                pages: pages.clone(),
            }));
        }
        Ok(contenders)
    })
}

/// The pages, the same in every process.
fn pages() -> Result<Vec<u64>> {
    let Some((_, path)) = environment() else {
        let mut random = StdRng::seed_from_u64(1);
        // The inverse of a distribution that falls with the rank.
        let draw = || Some(PAGES.powf(random.random::<f64>()) as u64);
        return Ok(iter::from_fn(draw).take(READS).collect());
    };
    let text = || format!("the trace {}", path.display());
    let mut pages = Vec::with_capacity(READS);
    for line in open(&path).with_context(text)?.lines() {
        let line = line.with_context(text)?;
        let mut words = line.split_ascii_whitespace().map(str::parse::<u64>);
        let (Some(Ok(start)), Some(Ok(count))) = (words.next(), words.next()) else {
            anyhow::bail!("{} has a line that is not `start count ignore sequence`", text());
        };
        pages.extend((start..start.saturating_add(count)).take(READS - pages.len()));
        if pages.len() == READS {
            break;
        }
    }
    Ok(pages)
}

fn open(path: &Path) -> Result<BufReader<Box<dyn Read>>> {
    let mut file = BufReader::new(File::open(path)?);
    let gzip = file.fill_buf()?.starts_with(&[0x1F, 0x8B]);
    Ok(BufReader::new(if gzip { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) }))
}

/// Reads every fourth page with each line, which has the number of the run, how many reads all make, and which of the four it is.
pub(super) async fn work(reader: Reader) -> Result<()> {
    let pages: Arc<[u64]> = pages()?.into();
    println!("{}", json!({ "ready": true }));
    for line in stdin().lines() {
        let line = line?;
        let mut words = line.split(' ');
        let mut word = || words.next().context("a run, how many reads, and an index");
        let (run, reads, index) = (word()?.to_owned(), word()?.parse()?, word()?.parse()?);
        let (before, loads) = (meter::client_us(), Arc::new(AtomicU64::new(0)));
        let (next, mut tasks) = (Arc::new(AtomicUsize::new(index)), JoinSet::new());
        for _ in 0..TASKS {
            let (reader, pages, next, loads) = (reader.clone(), pages.clone(), next.clone(), loads.clone());
            let run = run.clone();
            tasks.spawn(async move {
                while let Some(page) = pages[..reads].get(next.fetch_add(PROCESSES, Ordering::Relaxed)) {
                    reader.get(format!("{run}-{page}"), LOAD, &loads).await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(task) = tasks.join_next().await {
            task??;
        }
        let spent = meter::client_us().zip(before).map(|(now, then)| now - then);
        println!("{}", json!({ "loads": loads.load(Ordering::Relaxed), "client_us": spent }));
    }
    Ok(())
}

struct Replay {
    name: &'static str,
    kind: &'static str,
    url: String,
    workers: Vec<Worker>,
    runs: u64,
    pages: Arc<[u64]>,
}

impl Contender for Replay {
    fn name(&self) -> &'static str {
        self.name
    }

    fn commands(&self) -> &'static [(&'static str, u64)] {
        &[]
    }

    fn sent(&self) -> &'static [&'static str] {
        SENT
    }

    /// Processes of its own for every turn, so that nobody's memory is full of the turn before.
    fn enter(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            let kind = format!("{KIND}{}", self.kind);
            self.workers = (0..PROCESSES).map(|_| Worker::start(&kind, &self.url)).collect::<Result<_>>()?;
            Ok(())
        })
    }

    fn leave(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            self.workers.clear();
            Ok(())
        })
    }

    fn work(&mut self, time: Duration) -> BoxFuture<'_, Result<Sample>> {
        Box::pin(async move {
            self.runs += 1;
            let pages = &self.pages[..self.pages.len().min((READS as f64 * time.div_duration_f64(TURN)) as usize)];
            let (begun, mut sample, mut loads) = (Instant::now(), Sample::default(), 0.0);
            for (index, worker) in self.workers.iter_mut().enumerate() {
                worker.order(&format!("{} {} {index}", self.runs, pages.len()))?;
            }
            for worker in &mut self.workers {
                let told = worker.hear()?;
                loads += told["loads"].as_f64().unwrap_or_default();
                sample.elsewhere_us += told["client_us"].as_f64().unwrap_or_default();
            }
            (sample.ops, sample.elapsed) = (pages.len() as u64, begun.elapsed());
            let distinct = pages.iter().collect::<HashSet<_>>().len();
            sample.figures = vec![("loads", loads), ("loads to distinct pages", loads / distinct as f64)];
            Ok(sample)
        })
    }
}
