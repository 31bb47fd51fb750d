use kv_core::{Error, Limits, Result};
use std::time::Duration;

/// How a [`QuorumManager`](crate::QuorumManager) locks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuorumOptions {
    /// What stands before the name, as it is, in the key on every server.
    ///
    /// Whoever writes strings with `SET NX PX` under the same key on the same servers excludes ours and is excluded by
    /// ours: pottery and RedLock.net with the default; redsync, rslock, redlock-rb and node-redlock, which take the
    /// name for the key, with the empty prefix. Default: `redlock:`.
    pub key_prefix: String,
    /// How long a lock is held unless it is extended or released; at least 10 ms. Default: 10 s.
    #[doc(alias = "ttl")]
    pub lease: Duration,
    /// How long one server has to answer; at most half of the lease.
    ///
    /// It is what servers that hang cost when the others cannot decide without them, so it is a small part of the
    /// lease, and still several round trips: raise it for servers far away. Default: `None`, a twentieth of the lease
    /// within 5 to 50 ms.
    pub node_timeout: Option<Duration>,
    /// How much of the lease must be left, drift deducted, when a majority has said yes; less is given back. Default:
    /// `None`, a tenth of the lease.
    pub min_validity: Option<Duration>,
    /// The longest first wait between two tries of a waiter; it doubles from try to try. Default: 10 ms.
    pub retry_min: Duration,
    /// The longest wait between two tries of a waiter. Default: 100 ms.
    pub retry_max: Duration,
    /// Whether the lease is renewed for as long as the guard lives. Default: yes.
    #[doc(alias = "watchdog")]
    #[doc(alias = "auto_extend")]
    pub renew: bool,
}

impl Default for QuorumOptions {
    fn default() -> Self {
        Self {
            key_prefix: "redlock:".into(),
            lease: Duration::from_secs(10),
            node_timeout: None,
            min_validity: None,
            retry_min: Duration::from_millis(10),
            retry_max: Duration::from_millis(100),
            renew: true,
        }
    }
}

impl QuorumOptions {
    /// Sets [`key_prefix`](Self::key_prefix).
    #[must_use]
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.key_prefix = prefix.into();
        self
    }

    /// Sets [`lease`](Self::lease).
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Sets [`node_timeout`](Self::node_timeout).
    #[must_use]
    pub fn node_timeout(mut self, timeout: Duration) -> Self {
        self.node_timeout = Some(timeout);
        self
    }

    /// Sets [`min_validity`](Self::min_validity).
    #[must_use]
    pub fn min_validity(mut self, validity: Duration) -> Self {
        self.min_validity = Some(validity);
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

    /// Sets [`renew`](Self::renew).
    #[must_use]
    pub fn renew(mut self, renew: bool) -> Self {
        self.renew = renew;
        self
    }

    pub(crate) fn patience(&self) -> Duration {
        const BOUNDS: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(50));
        self.node_timeout.unwrap_or_else(|| (self.lease / 20).clamp(BOUNDS.0, BOUNDS.1))
    }

    pub(crate) fn least_validity(&self) -> Duration {
        self.min_validity.unwrap_or(self.lease / 10)
    }

    /// How long a lease surely runs, whatever the clocks do: less 1 % and 2 ms.
    pub(crate) fn sure_lease(&self) -> Duration {
        self.lease.saturating_sub(self.lease / 100 + Duration::from_millis(2))
    }

    pub(crate) fn check(&self) -> Result<()> {
        let invalid = |detail| Err(Error::invalid_config("quorum lock", detail));
        if self.lease < Duration::from_millis(10) {
            return invalid("lease must be at least 10 ms");
        }
        Limits::ttl_millis("quorum lock", self.lease).or_else(|_| invalid("lease is too long").map(|()| 0))?;
        if self.patience() < Duration::from_millis(1) || self.patience() > self.lease / 2 {
            return invalid("node_timeout must be at least 1 ms and at most half of the lease");
        }
        if self.least_validity() >= self.sure_lease() {
            return invalid("min_validity must be less than the lease without 1 % and 2 ms");
        }
        if self.retry_min < Duration::from_millis(1) || self.retry_max < self.retry_min {
            return invalid("retry_min must be at least 1 ms and at most retry_max");
        }
        Ok(())
    }
}
