use kv_core::{Error, Result};
use std::time::Duration;

/// How a [`ConcurrencyLimiter`](crate::ConcurrencyLimiter) keeps its slots.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConcurrencyOptions {
    /// What every key begins with; no braces. Default: `concurrency`.
    pub prefix: String,
    /// How long slots are occupied unless they are released or renewed: what a process that dies costs the others; 10 ms to a day.
    /// Default: 10 s.
    #[doc(alias = "ttl")]
    pub lease: Duration,
    /// Whether leases are renewed, every third of them, for as long as their [`Slot`](crate::Slot) lives. Default: yes.
    pub renew: bool,
}

impl Default for ConcurrencyOptions {
    fn default() -> Self {
        Self { prefix: "concurrency".into(), lease: Duration::from_secs(10), renew: true }
    }
}

impl ConcurrencyOptions {
    /// Sets [`prefix`](Self::prefix).
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets [`lease`](Self::lease).
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Sets [`renew`](Self::renew).
    #[must_use]
    pub fn renew(mut self, renew: bool) -> Self {
        self.renew = renew;
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        let day = Duration::from_secs(24 * 60 * 60);
        if !(Duration::from_millis(10)..=day).contains(&self.lease) {
            return Err(Error::invalid_config("concurrency", "lease must be 10 ms to a day"));
        }
        Ok(())
    }
}
