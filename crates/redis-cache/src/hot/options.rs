use kv_core::{Error, Result};
use std::time::Duration;

/// How the keys that are read most are found, in this process.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HotKeyOptions {
    /// How many keys are followed at a time, 1 to 4096; so many can be hot. Keys below the share of one in so many may come and go.
    /// Default: 64.
    #[doc(alias = "top-k")]
    pub tracked: usize,
    /// From how many reads a second on a key is hot. Default: 100.
    #[doc(alias = "threshold")]
    pub rate: f64,
    /// For how long reads count half; a key that gets ten times the rate is hot after a seventh of this. Default: 5 s.
    pub half_life: Duration,
    /// One read of so many is looked at, by chance; 1 is all of them. Default: 16.
    pub sample: u32,
}

impl Default for HotKeyOptions {
    fn default() -> Self {
        Self { tracked: 64, rate: 100.0, half_life: Duration::from_secs(5), sample: 16 }
    }
}

impl HotKeyOptions {
    /// Sets [`tracked`](Self::tracked).
    #[must_use]
    pub fn tracked(mut self, keys: usize) -> Self {
        self.tracked = keys;
        self
    }

    /// Sets [`rate`](Self::rate).
    #[must_use]
    pub fn rate(mut self, reads_per_second: f64) -> Self {
        self.rate = reads_per_second;
        self
    }

    /// Sets [`half_life`](Self::half_life).
    #[must_use]
    pub fn half_life(mut self, time: Duration) -> Self {
        self.half_life = time;
        self
    }

    /// Sets [`sample`](Self::sample).
    #[must_use]
    pub fn sample(mut self, one_of: u32) -> Self {
        self.sample = one_of;
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        let refused = |detail| Err(Error::invalid_config("cache", detail));
        if !(1..=4096).contains(&self.tracked) {
            return refused("hot_keys.tracked must be from 1 to 4096");
        }
        if !(self.rate > 0.0 && self.rate.is_finite()) {
            return refused("hot_keys.rate must be above zero");
        }
        if self.half_life < Duration::from_millis(100) {
            return refused("hot_keys.half_life must be at least 100 ms");
        }
        if self.sample == 0 {
            return refused("hot_keys.sample must not be zero");
        }
        Ok(())
    }
}
