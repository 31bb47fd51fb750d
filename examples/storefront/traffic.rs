//! What the clients ask for.

use anyhow::{Context, Result};
use flate2::bufread::GzDecoder;
use std::{
    collections::HashSet,
    fs::File,
    io::{BufRead, BufReader, Lines},
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// How many products the shop has, when no trace says.
pub(crate) const PRODUCTS: u64 = 5_000;

/// Where the ids of a process' requests come from, until there are no more.
pub(crate) enum Traffic {
    Zipf(Zipf),
    Trace(Mutex<Trace>),
}

impl Traffic {
    pub(crate) fn next(&self) -> Result<Option<u64>> {
        match self {
            Self::Zipf(zipf) => Ok(zipf.next()),
            Self::Trace(trace) => trace.lock().unwrap_or_else(PoisonError::into_inner).next().transpose(),
        }
    }
}

/// Ids from 1 on, the n-th as often as 1/n of the first.
pub(crate) struct Zipf {
    cumulative: Vec<f64>,
    left: AtomicU64,
}

impl Zipf {
    pub(crate) fn new(requests: u64) -> Self {
        let sums = (1..=PRODUCTS).scan(0.0, |sum, rank| {
            *sum += 1.0 / rank as f64;
            Some(*sum)
        });
        Self { cumulative: sums.collect(), left: AtomicU64::new(requests) }
    }

    fn next(&self) -> Option<u64> {
        self.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).ok()?;
        let drawn = rand::random::<f64>() * self.cumulative.last()?;
        Some(self.cumulative.partition_point(|sum| *sum < drawn) as u64 + 1)
    }
}

/// The reads of a trace, or the share of them that one of several processes makes.
pub(crate) struct Trace {
    lines: std::iter::Enumerate<Lines<Box<dyn BufRead + Send>>>,
    current: std::ops::Range<u64>,
    left: u64,
    share: (usize, usize),
}

impl Trace {
    /// Opens a trace, ending it after this many reads of all processes; the `index`-th `of` so many reads its lines only.
    pub(crate) fn open(path: &Path, reads: u64, index: usize, of: usize) -> Result<Self> {
        let lines = open(path).with_context(|| path.display().to_string())?.lines().enumerate();
        Ok(Self { lines, current: 0..0, left: reads, share: (index, of) })
    }

    /// How many reads there are up to a limit, and of how many distinct pages.
    pub(crate) fn survey(path: &Path, reads: u64) -> Result<(u64, u64)> {
        let (mut total, mut pages) = (0, HashSet::new());
        for page in Self::open(path, reads, 0, 1)? {
            total += 1;
            pages.insert(page?);
        }
        Ok((total, pages.len() as u64))
    }
}

impl Iterator for Trace {
    type Item = Result<u64>;

    fn next(&mut self) -> Option<Result<u64>> {
        loop {
            if let Some(page) = self.current.next() {
                return Some(Ok(page));
            }
            let (at, line) = self.lines.next().filter(|_| self.left > 0)?;
            let line = match line.with_context(|| format!("line {} of the trace", at + 1)) {
                Ok(line) => line,
                Err(error) => return Some(Err(error)),
            };
            let mut words = line.split_ascii_whitespace().map(str::parse::<u64>);
            let (Some(Ok(start)), Some(Ok(count))) = (words.next(), words.next()) else {
                return Some(Err(anyhow::anyhow!("line {} of the trace is not `start count ignore seq`", at + 1)));
            };
            let count = count.min(self.left);
            self.left -= count;
            if at % self.share.1 == self.share.0 {
                self.current = start..start.saturating_add(count);
            }
        }
    }
}

/// A file's text, decompressed if it is gzip.
fn open(path: &Path) -> std::io::Result<Box<dyn BufRead + Send>> {
    let mut file = BufReader::new(File::open(path)?);
    let gzip = file.fill_buf()?.starts_with(&[0x1F, 0x8B]);
    Ok(if gzip { Box::new(BufReader::new(GzDecoder::new(file))) } else { Box::new(file) })
}
