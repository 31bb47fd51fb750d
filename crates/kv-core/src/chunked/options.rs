use super::manifest::MAX_PARTS;
use crate::{Error, Limits, Result};
use std::time::Duration;

/// How [`set_chunked`](crate::KvStoreExt::set_chunked) stores large values, and how large one may be.
///
/// Readers and writers may have different options: a manifest says how its value was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChunkOptions {
    /// The longest a value lives, counted from the start of the write. Default: 1 day.
    pub ttl: Duration,
    /// The largest part, in bytes; a value no larger is stored whole. Default: 1 MiB.
    pub part_bytes: usize,
    /// The largest value written or read, in bytes, and never more than 65,536 parts. Default: 64 MiB.
    pub max_bytes: usize,
    /// How many parts travel in one round trip. Default: 4.
    pub parts_per_trip: usize,
    /// How much longer than their manifest parts live: more than a call's deadline, and than a reader takes. Default: 1 minute.
    pub grace: Duration,
}

impl Default for ChunkOptions {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(24 * 60 * 60),
            part_bytes: 1 << 20,
            max_bytes: 64 << 20,
            parts_per_trip: 4,
            grace: Duration::from_secs(60),
        }
    }
}

impl ChunkOptions {
    /// Sets [`ttl`](Self::ttl).
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Sets [`part_bytes`](Self::part_bytes).
    #[must_use]
    pub fn part_bytes(mut self, bytes: usize) -> Self {
        self.part_bytes = bytes;
        self
    }

    /// Sets [`max_bytes`](Self::max_bytes).
    #[must_use]
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets [`parts_per_trip`](Self::parts_per_trip).
    #[must_use]
    pub fn parts_per_trip(mut self, parts: usize) -> Self {
        self.parts_per_trip = parts;
        self
    }

    /// Sets [`grace`](Self::grace).
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// The largest value that may be written.
    pub(super) fn longest(&self) -> usize {
        self.max_bytes.min(self.part_bytes.saturating_mul(MAX_PARTS as usize))
    }

    pub(super) fn check(&self, limits: Limits) -> Result<()> {
        let refuse = |detail| Err(Error::invalid_config("chunked", detail));
        if self.part_bytes == 0 || self.part_bytes > limits.max_value_bytes {
            return refuse("part_bytes must be at least 1 and fit in a value of the store");
        }
        if self.max_bytes == 0 {
            return refuse("max_bytes must not be zero");
        }
        if self.parts_per_trip == 0 {
            return refuse("parts_per_trip must not be zero");
        }
        if self.grace.is_zero() {
            return refuse("grace must not be zero");
        }
        let fits = |ttl| Limits::ttl_millis("chunked", ttl).is_ok();
        if !fits(self.ttl) || !fits(self.ttl.saturating_add(self.grace)) {
            return refuse("ttl must not be zero nor, with grace, longer than 2^50 milliseconds");
        }
        Ok(())
    }
}
