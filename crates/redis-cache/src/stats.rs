use std::sync::atomic::{AtomicU64, Ordering};

/// What a cache did since it was built, all clones together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Reads answered by the store, the knowledge of an absence included.
    pub hits: u64,
    /// Those of the hits that knew of an absence.
    pub null_hits: u64,
    /// Reads the store had no answer for.
    pub misses: u64,
    /// Reads that waited for a load another caller had begun.
    pub joined: u64,
    /// Times a loader ran.
    pub loads: u64,
    /// Loads whose value was not stored: invalidated meanwhile, begun while another load might store, or the store away.
    pub not_stored: u64,
    /// Times the store failed and the cache went on without it.
    pub store_errors: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) hits: Counter,
    pub(crate) null_hits: Counter,
    pub(crate) misses: Counter,
    pub(crate) joined: Counter,
    pub(crate) loads: Counter,
    pub(crate) not_stored: Counter,
    pub(crate) store_errors: Counter,
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Counters {
    pub(crate) fn snapshot(&self) -> CacheStats {
        let read = |counter: &Counter| counter.0.load(Ordering::Relaxed);
        CacheStats {
            hits: read(&self.hits),
            null_hits: read(&self.null_hits),
            misses: read(&self.misses),
            joined: read(&self.joined),
            loads: read(&self.loads),
            not_stored: read(&self.not_stored),
            store_errors: read(&self.store_errors),
        }
    }
}
