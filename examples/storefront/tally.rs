//! The figures of a run, in a form that adds up over processes.

use redis_cache::CacheStats;
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// What is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Figure {
    /// Requests made, denied ones included.
    Requests,
    Denied,
    /// Those of the denied that came from clients within their quota: there should be none.
    DeniedPolite,
    Served,
    NotFound,
    Hits,
    NullHits,
    Joined,
    DatabaseLoads,
    NotStored,
    StoreErrors,
    PlainBytes,
    StoredBytes,
    Sold,
    SoldOut,
    /// Purchases that came to nothing: the lock was not to be had in time, or Redis not to be reached.
    NotSold,
    /// Writes the database refused for their fencing token.
    Refused,
    NightsDone,
    NightsSkipped,
}

const FIGURES: usize = Figure::NightsSkipped as usize + 1;

/// Steps per doubling: a latency is known to 1/16 of itself.
const STEPS: usize = 16;
/// Up to 2^36 microseconds.
const BUCKETS: usize = STEPS * 33;

/// Counters, and a histogram of latencies in microseconds.
#[derive(Debug)]
pub(crate) struct Tally {
    figures: [AtomicU64; FIGURES],
    latencies: [AtomicU64; BUCKETS],
}

impl Default for Tally {
    fn default() -> Self {
        Self { figures: [const { AtomicU64::new(0) }; FIGURES], latencies: [const { AtomicU64::new(0) }; BUCKETS] }
    }
}

impl Tally {
    pub(crate) fn add(&self, figure: Figure, n: u64) {
        self.figures[figure as usize].fetch_add(n, Relaxed);
    }

    pub(crate) fn get(&self, figure: Figure) -> u64 {
        self.figures[figure as usize].load(Relaxed)
    }

    pub(crate) fn record(&self, latency: Duration) {
        self.latencies[bucket(latency.as_micros() as usize)].fetch_add(1, Relaxed);
    }

    /// Takes over what the cache counts itself.
    pub(crate) fn set_cache(&self, stats: &CacheStats) {
        for (figure, count) in [
            (Figure::Hits, stats.hits),
            (Figure::NullHits, stats.null_hits),
            (Figure::Joined, stats.joined),
            (Figure::NotStored, stats.raced + stats.invalidated),
            (Figure::StoreErrors, stats.store_errors),
        ] {
            self.figures[figure as usize].store(count, Relaxed);
        }
    }

    /// The latency that this share of the reads does not exceed.
    pub(crate) fn percentile(&self, share: f64) -> Duration {
        let counts: Vec<u64> = self.latencies.iter().map(|count| count.load(Relaxed)).collect();
        let rank = (counts.iter().sum::<u64>() as f64 * share).ceil() as u64;
        let mut seen = 0;
        let at = counts.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        Duration::from_micros(upper_edge(at.unwrap_or(0)))
    }

    /// One line of numbers, for [`absorb`](Self::absorb) in another process.
    pub(crate) fn to_line(&self) -> String {
        let numbers: Vec<_> = self.cells().map(|cell| cell.load(Relaxed).to_string()).collect();
        numbers.join(" ")
    }

    /// Adds the numbers of another; `None` if they are none.
    pub(crate) fn absorb(&self, line: &str) -> Option<()> {
        let numbers: Vec<u64> = line.split(' ').map(|number| number.parse().ok()).collect::<Option<_>>()?;
        if numbers.len() != FIGURES + BUCKETS {
            return None;
        }
        self.cells().zip(numbers).for_each(|(cell, number)| {
            cell.fetch_add(number, Relaxed);
        });
        Some(())
    }

    fn cells(&self) -> impl Iterator<Item = &AtomicU64> {
        self.figures.iter().chain(&self.latencies)
    }
}

fn bucket(micros: usize) -> usize {
    if micros < STEPS {
        return micros;
    }
    let doublings = (micros / STEPS).ilog2() as usize;
    (STEPS * doublings + (micros >> doublings)).min(BUCKETS - 1)
}

/// The largest number of microseconds in a bucket.
fn upper_edge(bucket: usize) -> u64 {
    if bucket < STEPS {
        return bucket as u64;
    }
    let doublings = bucket / STEPS - 1;
    (((bucket % STEPS + STEPS + 1) as u64) << doublings) - 1
}
