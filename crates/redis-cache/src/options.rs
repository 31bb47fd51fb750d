use crate::{Guard, HotKeyOptions, NearOptions, WhenAway};
use kv_core::{BreakerOptions, Error, Result, Transform};
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// Times travel as milliseconds in 32 bits.
const LONGEST: Duration = Duration::from_secs(24 * 24 * 60 * 60);

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
    /// For how long after its TTL a value is served at once while it is loaded anew. Default: zero.
    #[doc(alias = "grace")]
    pub stale_while_revalidate: Duration,
    /// For how long after its TTL a value is served if the load of a new one fails. Default: zero.
    #[doc(alias = "fail safe")]
    pub stale_if_error: Duration,
    /// How long after a failed load a value past its TTL is served without another load. Default: 1 s.
    pub error_backoff: Duration,
    /// How much earlier than need be a value is loaded anew: what `XFetch` calls beta. A value that takes long to load, and is near its
    /// end, is loaded by chance while it is still served; 0 for never. Default: 1.
    #[doc(alias = "beta")]
    #[doc(alias = "eager refresh")]
    pub early_refresh: f64,
    /// The longest a loader may take; it is dropped then. Default: 10 s.
    #[doc(alias = "hard timeout")]
    pub load_timeout: Duration,
    /// How long a load is waited for if there is a value past its TTL, which is served then; the load goes on. Default: none.
    pub soft_timeout: Option<Duration>,
    /// How long other processes wait for a process that died while loading; a load that goes on renews it. Default: 3 s.
    pub lease: Duration,
    /// How many loaders run at a time in this process; not zero. Default: 64.
    pub max_loads: usize,
    /// How many loads wait for that; the rest is [`CacheError::Overloaded`](crate::CacheError::Overloaded), or what is past its TTL.
    /// Default: 4096.
    pub max_queued_loads: usize,
    /// For how long after an invalidation what is loaded is not stored, because the loader may read from a replica of the database that
    /// has not heard of the change. Every process loads for itself meanwhile. Default: zero.
    pub replica_lag: Duration,
    /// Whether [`clear`](crate::Cache::clear) works, at the cost of a tag on every entry. Default: no.
    pub clearable: bool,
    /// The longest the store is asked for one thing, beyond which it counts as away. What it was asked may still happen. Default: 500 ms.
    #[doc(alias = "redis timeout")]
    pub budget: Option<Duration>,
    /// When the store is left alone for a while, so that reads do not each spend their budget on it. Default: that of [`BreakerOptions`].
    pub breaker: Option<BreakerOptions>,
    /// What a read does meanwhile. Default: it loads.
    pub when_away: WhenAway,
    /// What this process keeps of what it has read, decoded, and told of what other processes invalidate. Default: nothing.
    #[doc(alias("L1", "client side cache"))]
    pub near: Option<NearOptions>,
    /// Finds the keys that this process reads most, for [`hot_keys`](crate::Cache::hot_keys) and [`NearOptions::hot_only`]. Default: no.
    #[doc(alias = "top-k")]
    pub hot_keys: Option<HotKeyOptions>,
    /// Knows of keys that cannot exist, so that no loader is asked for them, such as a [`BloomGuard`](crate::BloomGuard). Default: none.
    #[doc(alias = "bloom filter")]
    pub guard: Option<Arc<dyn Guard>>,
    /// Tells values of one form from those of another; one with another schema is a miss, and is replaced. Default: 0.
    pub schema: u32,
    /// The largest value stored under one key, in bytes; what is larger is stored in parts of so many, each under a key of its own, so that no
    /// command holds the server up for long. From 1 KiB to 256 MiB. Default: 1 MiB.
    #[doc(alias = "chunk size")]
    pub part_bytes: usize,
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
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            error_backoff: Duration::from_secs(1),
            early_refresh: 1.0,
            load_timeout: Duration::from_secs(10),
            soft_timeout: None,
            lease: Duration::from_secs(3),
            max_loads: 64,
            max_queued_loads: 4096,
            replica_lag: Duration::ZERO,
            clearable: false,
            budget: Some(Duration::from_millis(500)),
            breaker: Some(BreakerOptions::default()),
            when_away: WhenAway::Load,
            near: None,
            hot_keys: None,
            guard: None,
            schema: 0,
            part_bytes: 1 << 20,
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

    /// Sets [`stale_while_revalidate`](Self::stale_while_revalidate).
    #[must_use]
    pub fn stale_while_revalidate(mut self, time: Duration) -> Self {
        self.stale_while_revalidate = time;
        self
    }

    /// Sets [`stale_if_error`](Self::stale_if_error).
    #[must_use]
    pub fn stale_if_error(mut self, time: Duration) -> Self {
        self.stale_if_error = time;
        self
    }

    /// Sets [`error_backoff`](Self::error_backoff).
    #[must_use]
    pub fn error_backoff(mut self, time: Duration) -> Self {
        self.error_backoff = time;
        self
    }

    /// Sets [`early_refresh`](Self::early_refresh).
    #[must_use]
    pub fn early_refresh(mut self, beta: f64) -> Self {
        self.early_refresh = beta;
        self
    }

    /// Sets [`soft_timeout`](Self::soft_timeout).
    #[must_use]
    pub fn soft_timeout(mut self, timeout: Duration) -> Self {
        self.soft_timeout = Some(timeout);
        self
    }

    /// Sets [`lease`](Self::lease).
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Sets [`max_loads`](Self::max_loads).
    #[must_use]
    pub fn max_loads(mut self, loads: usize) -> Self {
        self.max_loads = loads;
        self
    }

    /// Sets [`max_queued_loads`](Self::max_queued_loads).
    #[must_use]
    pub fn max_queued_loads(mut self, loads: usize) -> Self {
        self.max_queued_loads = loads;
        self
    }

    /// Sets [`replica_lag`](Self::replica_lag).
    #[must_use]
    pub fn replica_lag(mut self, time: Duration) -> Self {
        self.replica_lag = time;
        self
    }

    /// Sets [`clearable`](Self::clearable).
    #[must_use]
    pub fn clearable(mut self, clearable: bool) -> Self {
        self.clearable = clearable;
        self
    }

    /// Sets [`budget`](Self::budget).
    #[must_use]
    pub fn budget(mut self, budget: impl Into<Option<Duration>>) -> Self {
        self.budget = budget.into();
        self
    }

    /// Sets [`breaker`](Self::breaker).
    #[must_use]
    pub fn breaker(mut self, breaker: impl Into<Option<BreakerOptions>>) -> Self {
        self.breaker = breaker.into();
        self
    }

    /// Sets [`when_away`](Self::when_away).
    #[must_use]
    pub fn when_away(mut self, policy: WhenAway) -> Self {
        self.when_away = policy;
        self
    }

    /// Sets [`near`](Self::near).
    #[must_use]
    pub fn near(mut self, near: impl Into<Option<NearOptions>>) -> Self {
        self.near = near.into();
        self
    }

    /// Sets [`hot_keys`](Self::hot_keys).
    #[must_use]
    pub fn hot_keys(mut self, options: impl Into<Option<HotKeyOptions>>) -> Self {
        self.hot_keys = options.into();
        self
    }

    /// Sets [`guard`](Self::guard).
    #[must_use]
    pub fn guard(mut self, guard: Arc<dyn Guard>) -> Self {
        self.guard = Some(guard);
        self
    }

    /// Sets [`schema`](Self::schema).
    #[must_use]
    pub fn schema(mut self, schema: u32) -> Self {
        self.schema = schema;
        self
    }

    /// Sets [`part_bytes`](Self::part_bytes).
    #[must_use]
    pub fn part_bytes(mut self, bytes: usize) -> Self {
        self.part_bytes = bytes;
        self
    }

    /// Sets [`transform`](Self::transform).
    #[must_use]
    pub fn transform(mut self, transform: Arc<dyn Transform>) -> Self {
        self.transform = Some(transform);
        self
    }

    pub(crate) fn lag_millis(&self) -> i64 {
        i64::try_from(self.replica_lag.as_millis()).unwrap_or(i64::MAX)
    }

    pub(crate) fn check(&self) -> Result<()> {
        let invalid = |detail: String| Err(Error::invalid_config("cache", detail));
        let times = [
            ("ttl", self.ttl),
            ("negative_ttl", self.negative_ttl),
            ("load_timeout", self.load_timeout),
            ("lease", self.lease),
        ];
        for (field, time) in times {
            if time.is_zero() || time > LONGEST {
                return invalid(format!("{field} must not be zero, nor beyond 24 days"));
            }
        }
        let times = [
            ("stale_while_revalidate", self.stale_while_revalidate),
            ("stale_if_error", self.stale_if_error),
            ("error_backoff", self.error_backoff),
            ("replica_lag", self.replica_lag),
            ("soft_timeout", self.soft_timeout.unwrap_or_default()),
        ];
        if let Some((field, _)) = times.into_iter().find(|(_, time)| *time > LONGEST) {
            return invalid(format!("{field} must not be beyond 24 days"));
        }
        if !(0.0..=1.0).contains(&self.ttl_jitter) {
            return invalid("ttl_jitter must be from 0 to 1".into());
        }
        if !(0.0..=100.0).contains(&self.early_refresh) {
            return invalid("early_refresh must be from 0 to 100".into());
        }
        if self.max_loads == 0 || self.max_loads > Semaphore::MAX_PERMITS {
            return invalid("max_loads must not be zero, nor beyond 2^60".into());
        }
        if !(1 << 10..=256 << 20).contains(&self.part_bytes) {
            return invalid("part_bytes must be from 1 KiB to 256 MiB".into());
        }
        if self.budget.is_some_and(|budget| budget.is_zero()) {
            return invalid("budget must not be zero".into());
        }
        self.near.as_ref().map_or(Ok(()), NearOptions::check)?;
        self.hot_keys.as_ref().map_or(Ok(()), HotKeyOptions::check)?;
        if self.hot_keys.is_none() && self.near.as_ref().is_some_and(|near| near.hot_only) {
            return invalid("near.hot_only must come with hot_keys".into());
        }
        if self.transform.as_ref().is_some_and(|transform| transform.id() == 0) {
            return invalid("transform must not have the id 0".into());
        }
        Ok(())
    }
}
