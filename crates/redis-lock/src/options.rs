use kv_core::{Error, Limits, Result};
use std::time::Duration;

/// How a [`LockManager`](crate::LockManager) locks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockOptions {
    /// What every key begins with; no braces for [`KeyStyle::Tagged`]. Default: `lock`.
    pub prefix: String,
    /// How a name becomes a key. Default: [`KeyStyle::Tagged`].
    pub key_style: KeyStyle,
    /// How long a lock is held unless it is renewed or released; at least 10 ms. Default: 10 s.
    #[doc(alias = "ttl")]
    pub lease: Duration,
    /// Whether the lease is renewed for as long as the guard lives. Default: yes.
    #[doc(alias = "watchdog")]
    #[doc(alias = "auto_extend")]
    pub renew: bool,
    /// How long one holder may have the lock, renewals included; then it is lost. Default: no limit.
    pub max_lease: Option<Duration>,
    /// How long a waiter that is handed the lock has to show that it lives, and four times the pause between its looks at the
    /// lock; 10 ms to 10 s, and never longer than the lease. Default: 2 s.
    pub claim: Duration,
    /// How long tasks of one manager may pass a lock among themselves beyond those who waited when it came; zero to always
    /// pass it on through the server. It takes [`renew`](Self::renew). Default: 2 ms.
    pub local_slice: Duration,
    /// How many replicas have to have a lock, and how long to wait for them, before it counts as taken; else it is given back, with
    /// [`LockError::NotReplicated`](crate::LockError::NotReplicated). One more round trip per acquisition. It makes it less likely that a failover
    /// loses a lock, and not impossible. Default: none.
    pub wait_replicas: Option<(u32, Duration)>,
    /// Who holds the lock, for [`inspect`](crate::LockManager::inspect): up to 64 visible ASCII characters, no colon or asterisk.
    /// Default: nothing.
    pub label: Option<String>,
}

/// How a name becomes the key of its lock.
///
/// Under the same key, holders of other libraries that write strings with a TTL (redis-py, redsync, bsm/redislock, node-redlock,
/// RedLock.net, rslock, Spring) exclude ours and ours exclude theirs. They do not wait in our line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyStyle {
    /// `prefix:{name}`; names may hold anything.
    #[default]
    Tagged,
    /// The name as it is: redis-py, redsync, bsm/redislock, node-redlock, rslock.
    Verbatim,
    /// The prefix and the name: RedLock.net with `redlock:`, for one.
    Prefix,
    /// `prefix:name`, with the key of the registry as prefix: Spring's `RedisLockRegistry`.
    Spring,
}

impl Default for LockOptions {
    fn default() -> Self {
        Self {
            prefix: "lock".into(),
            key_style: KeyStyle::default(),
            lease: Duration::from_secs(10),
            renew: true,
            max_lease: None,
            claim: Duration::from_secs(2),
            local_slice: Duration::from_millis(2),
            wait_replicas: None,
            label: None,
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

    /// Sets [`key_style`](Self::key_style).
    #[must_use]
    pub fn key_style(mut self, style: KeyStyle) -> Self {
        self.key_style = style;
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

    /// Sets [`max_lease`](Self::max_lease).
    #[must_use]
    pub fn max_lease(mut self, longest: Duration) -> Self {
        self.max_lease = Some(longest);
        self
    }

    /// Sets [`claim`](Self::claim).
    #[must_use]
    pub fn claim(mut self, claim: Duration) -> Self {
        self.claim = claim;
        self
    }

    /// Sets [`local_slice`](Self::local_slice).
    #[must_use]
    pub fn local_slice(mut self, slice: Duration) -> Self {
        self.local_slice = slice;
        self
    }

    /// Sets [`wait_replicas`](Self::wait_replicas).
    #[must_use]
    pub fn wait_replicas(mut self, replicas: u32, wait: Duration) -> Self {
        self.wait_replicas = Some((replicas, wait));
        self
    }

    /// Sets [`label`](Self::label).
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        let invalid = |detail| Err(Error::invalid_config("lock", detail));
        const SHORTEST: Duration = Duration::from_millis(10);
        if self.lease < SHORTEST || self.max_lease.is_some_and(|longest| longest < SHORTEST) {
            return invalid("lease and max_lease must be at least 10 ms");
        }
        if self.claim < SHORTEST || self.claim > Duration::from_secs(10) {
            return invalid("claim must be 10 ms to 10 s");
        }
        let legible = |label: &str| label.bytes().all(|byte| byte.is_ascii_graphic() && !b":*".contains(&byte));
        if self.label.as_deref().is_some_and(|label| label.len() > 64 || !legible(label)) {
            return invalid("label must be at most 64 visible ascii characters without a colon or an asterisk");
        }
        Limits::ttl_millis("lock", self.lease).map(drop)
    }

    /// The claim of a waiter: no longer than its lease.
    pub(crate) fn claim_within_lease(&self) -> Duration {
        self.claim.min(self.lease)
    }
}
