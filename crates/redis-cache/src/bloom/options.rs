use kv_core::{Error, Limits, Result};
use std::time::Duration;

/// How a [`BloomGuard`](crate::BloomGuard) filters. Processes that share a filter need the same prefix, capacity, error rate and
/// seed: another one is another filter, and knows nothing yet.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BloomOptions {
    /// What every key begins with; no braces. Default: `bloom`.
    pub prefix: String,
    /// For how many ids the error rate holds. More are taken, at a higher one. Default: 1 million.
    pub capacity: u64,
    /// How many of the ids that do not exist are taken for some that may, from 0.00001 to 0.5. Default: 0.01.
    #[doc(alias = "false_positive_rate")]
    #[doc(alias = "fpp")]
    pub error_rate: f64,
    /// How long the filter lives after the last insertion or rebuild; without it every id may exist. Default: 1 day.
    pub ttl: Duration,
    /// Makes places of ids unpredictable to those who choose ids and do not know it. Default: 0.
    pub seed: u64,
    /// For how long a copy of the filter in this process is asked instead of the store: an id that another process inserts may be
    /// taken for absent for so long. Takes as much memory as the filter: about 1.3 MB for the defaults. Default: no copy.
    #[doc(alias = "local")]
    pub mirror: Option<Duration>,
}

impl Default for BloomOptions {
    fn default() -> Self {
        Self {
            prefix: "bloom".into(),
            capacity: 1_000_000,
            error_rate: 0.01,
            ttl: Duration::from_secs(86_400),
            seed: 0,
            mirror: None,
        }
    }
}

impl BloomOptions {
    /// Sets [`prefix`](Self::prefix).
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets [`capacity`](Self::capacity).
    #[must_use]
    pub fn capacity(mut self, ids: u64) -> Self {
        self.capacity = ids;
        self
    }

    /// Sets [`error_rate`](Self::error_rate).
    #[must_use]
    pub fn error_rate(mut self, share: f64) -> Self {
        self.error_rate = share;
        self
    }

    /// Sets [`ttl`](Self::ttl).
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Sets [`seed`](Self::seed).
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets [`mirror`](Self::mirror).
    #[must_use]
    pub fn mirror(mut self, age: Duration) -> Self {
        self.mirror = Some(age);
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        let refused = |detail| Err(Error::invalid_config("bloom", detail));
        if self.capacity == 0 {
            return refused("capacity must not be zero");
        }
        if !(0.000_01..=0.5).contains(&self.error_rate) {
            return refused("error_rate must be from 0.00001 to 0.5");
        }
        if Limits::ttl_millis("bloom", self.ttl).is_err() {
            return refused("ttl must not be zero, nor beyond 2^50 ms");
        }
        if self.mirror.is_some_and(|age| age.is_zero()) {
            return refused("mirror must not be zero");
        }
        Ok(())
    }
}
