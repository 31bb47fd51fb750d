use kv_core::{Error, Limits, Result};
use std::time::Duration;

/// How a [`LockManager`](crate::LockManager) locks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockOptions {
    /// What every key begins with; no braces. Default: `lock`.
    pub prefix: String,
    /// How long a lock is held unless it is extended or released; at least 10 ms. Default: 10 s.
    #[doc(alias = "ttl")]
    pub lease: Duration,
    /// The longest first wait between two tries of a waiter; it doubles from try to try. Default: 5 ms.
    pub retry_min: Duration,
    /// The longest wait between two tries of a waiter. Default: 100 ms.
    pub retry_max: Duration,
}

impl Default for LockOptions {
    fn default() -> Self {
        Self {
            prefix: "lock".into(),
            lease: Duration::from_secs(10),
            retry_min: Duration::from_millis(5),
            retry_max: Duration::from_millis(100),
        }
    }
}

impl LockOptions {
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

    /// Sets [`retry_min`](Self::retry_min).
    #[must_use]
    pub fn retry_min(mut self, wait: Duration) -> Self {
        self.retry_min = wait;
        self
    }

    /// Sets [`retry_max`](Self::retry_max).
    #[must_use]
    pub fn retry_max(mut self, wait: Duration) -> Self {
        self.retry_max = wait;
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        let invalid = |detail| Err(Error::invalid_config("lock", detail));
        if self.lease < Duration::from_millis(10) {
            return invalid("lease must be at least 10 ms");
        }
        if self.retry_min < Duration::from_millis(1) || self.retry_max < self.retry_min {
            return invalid("retry_min must be at least 1 ms and at most retry_max");
        }
        Limits::ttl_millis("lock", self.lease).map(drop)
    }
}
