use std::sync::atomic::{AtomicU64, Ordering};

/// What a cache did since it was built, all clones together.
///
/// A read that ends without an error is one of `near_hits`, `hits`, `misses`, `joined` and `loads`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Reads answered from this process, without asking the store.
    pub near_hits: u64,
    /// Entries kept in this process now.
    pub near_entries: u64,
    /// The bytes they take.
    pub near_bytes: u64,
    /// Entries that had to go for others.
    pub near_evictions: u64,
    /// Reads answered by the store, the knowledge of an absence included.
    pub hits: u64,
    /// Those of the hits that knew of an absence.
    pub null_hits: u64,
    /// Reads by [`get`](crate::Cache::get) that the store had no answer for.
    pub misses: u64,
    /// Reads that waited for a load another caller had begun.
    pub joined: u64,
    /// Reads that wait for what another caller looks for or loads, now.
    pub waiting: u64,
    /// Reads that began a load, and with it a loader.
    pub loads: u64,
    /// Times a value was served that was past its TTL, because the load failed or took long.
    pub stale: u64,
    /// Loads that were not stored because other processes were loading the key for too long.
    pub raced: u64,
    /// Loads that were not stored because the key was invalidated meanwhile, or the load took too long.
    pub invalidated: u64,
    /// Times the store failed, and the cache went on without it where it could.
    pub store_errors: u64,
}

impl CacheStats {
    /// The reads that ended without an error of the store.
    pub fn reads(&self) -> u64 {
        self.near_hits + self.hits + self.misses + self.joined + self.loads
    }

    /// The share of reads that were answered without a load, from 0 to 1; 0 before the first read.
    pub fn hit_ratio(&self) -> f64 {
        (self.near_hits + self.hits) as f64 / self.reads().max(1) as f64
    }
}

#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) near_hits: Counter,
    pub(crate) hits: Counter,
    pub(crate) null_hits: Counter,
    pub(crate) misses: Counter,
    pub(crate) joined: Counter,
    pub(crate) waiting: Gauge,
    pub(crate) stale: Counter,
    pub(crate) loads: Counter,
    pub(crate) raced: Counter,
    pub(crate) invalidated: Counter,
    pub(crate) store_errors: Counter,
    #[cfg(feature = "obs")]
    pub(crate) load_seconds: metrics::Histogram,
}

#[derive(Debug)]
pub(crate) struct Counter {
    counted: AtomicU64,
    #[cfg(feature = "obs")]
    told: metrics::Counter,
}

impl Counter {
    pub(crate) fn count(&self) {
        self.counted.fetch_add(1, Ordering::Relaxed);
        #[cfg(feature = "obs")]
        self.told.increment(1);
    }
}

/// How many are at something now.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicU64);

impl Gauge {
    /// Counts one until what is returned is dropped.
    pub(crate) fn enter(&self) -> Inside<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Inside(self)
    }
}

pub(crate) struct Inside<'a>(&'a Gauge);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Counters {
    /// For the cache of this prefix.
    #[cfg_attr(not(feature = "obs"), allow(unused_variables))]
    pub(crate) fn new(cache: &str) -> Self {
        // Registered once: a look into a recorder would cost more than a hit.
        let counter = |event: &'static str| Counter {
            counted: AtomicU64::new(0),
            #[cfg(feature = "obs")]
            told: metrics::counter!("cache_events_total", "cache" => cache.to_owned(), "event" => event),
        };
        Self {
            near_hits: counter("near_hit"),
            hits: counter("hit"),
            null_hits: counter("null_hit"),
            misses: counter("miss"),
            joined: counter("joined"),
            waiting: Gauge::default(),
            stale: counter("stale"),
            loads: counter("load"),
            raced: counter("raced"),
            invalidated: counter("invalidated"),
            store_errors: counter("store_error"),
            #[cfg(feature = "obs")]
            load_seconds: metrics::histogram!("cache_load_seconds", "cache" => cache.to_owned()),
        }
    }

    pub(crate) fn snapshot(&self) -> CacheStats {
        let read = |counter: &Counter| counter.counted.load(Ordering::Relaxed);
        CacheStats {
            near_hits: read(&self.near_hits),
            near_entries: 0,
            near_bytes: 0,
            near_evictions: 0,
            hits: read(&self.hits),
            null_hits: read(&self.null_hits),
            misses: read(&self.misses),
            joined: read(&self.joined),
            waiting: self.waiting.0.load(Ordering::Relaxed),
            stale: read(&self.stale),
            loads: read(&self.loads),
            raced: read(&self.raced),
            invalidated: read(&self.invalidated),
            store_errors: read(&self.store_errors),
        }
    }
}
