use kv_core::{Error, Limits, Result, Transform};
use std::{sync::Arc, time::Duration};

/// How a [`Cache`](crate::Cache) caches.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CacheOptions {
    /// What every key begins with; no braces. Caches of different types need different prefixes. Default: `cache`.
    pub prefix: String,
    /// The longest a value is served after it was loaded. Default: 5 minutes.
    pub ttl: Duration,
    /// The longest the absence of a value is served. Default: 30 s.
    #[doc(alias = "null ttl")]
    pub negative_ttl: Duration,
    /// By how much of itself each TTL is shortened at random, 0 to 1, so that what was stored together does not
    /// expire together. Default: 0.1.
    pub ttl_jitter: f64,
    /// The longest a loader may take; it is dropped then. Default: 10 s.
    pub load_timeout: Duration,
    /// What values go through on their way to the store, such as compression. Default: none.
    pub transform: Option<Arc<dyn Transform>>,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self {
            prefix: "cache".into(),
            ttl: Duration::from_secs(300),
            negative_ttl: Duration::from_secs(30),
            ttl_jitter: 0.1,
            load_timeout: Duration::from_secs(10),
            transform: None,
        }
    }
}

impl CacheOptions {
    /// Sets [`prefix`](Self::prefix).
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets [`ttl`](Self::ttl).
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Sets [`negative_ttl`](Self::negative_ttl).
    #[must_use]
    pub fn negative_ttl(mut self, ttl: Duration) -> Self {
        self.negative_ttl = ttl;
        self
    }

    /// Sets [`ttl_jitter`](Self::ttl_jitter).
    #[must_use]
    pub fn ttl_jitter(mut self, share: f64) -> Self {
        self.ttl_jitter = share;
        self
    }

    /// Sets [`load_timeout`](Self::load_timeout).
    #[must_use]
    pub fn load_timeout(mut self, timeout: Duration) -> Self {
        self.load_timeout = timeout;
        self
    }

    /// Sets [`transform`](Self::transform).
    #[must_use]
    pub fn transform(mut self, transform: Arc<dyn Transform>) -> Self {
        self.transform = Some(transform);
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        for (field, time) in
            [("ttl", self.ttl), ("negative_ttl", self.negative_ttl), ("load_timeout", self.load_timeout)]
        {
            if Limits::ttl_millis("cache", time).is_err() {
                return Err(Error::invalid_config("cache", format!("{field} must not be zero, nor beyond 2^50 ms")));
            }
        }
        if !(0.0..=1.0).contains(&self.ttl_jitter) {
            return Err(Error::invalid_config("cache", "ttl_jitter must be from 0 to 1"));
        }
        if self.transform.as_ref().is_some_and(|transform| transform.id() == 0) {
            return Err(Error::invalid_config("cache", "transform must not have the id 0"));
        }
        Ok(())
    }

    /// A TTL in milliseconds, shortened at random and never beyond what is promised.
    pub(crate) fn jittered(&self, ttl: Duration) -> Result<i64> {
        let kept = 1.0 - self.ttl_jitter * rand::random::<f64>();
        Limits::ttl_millis("cache", ttl.mul_f64(kept).max(Duration::from_millis(1)))
    }
}
