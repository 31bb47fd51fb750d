use super::{key, pair, tat::REDIS_RATE};
use crate::{Decision, Quota, gcra::Gcra};
use kv_core::{Arg, Error, KvStore, KvStoreExt, Result};
use std::{sync::Arc, time::Duration};

/// A limiter on the state of [`redis_rate`](https://github.com/go-redis/redis_rate) v10 for Go: both enforce one limit together.
///
/// Requests are admitted by the same floating-point steps, and what is written is the same to the last bit. The doubles are 60 ns
/// apart by now, which adds up over a bucket: a request may be denied for some microseconds that exact numbers would admit, for one
/// when it asks for all of the burst at once. `redis_rate` does so too. A denial takes nothing.
#[derive(Clone, Debug)]
pub struct RedisRate {
    store: Arc<dyn KvStore>,
    prefix: String,
    quota: Quota,
    /// The period as `redis_rate` sends it.
    seconds: String,
}

/// How a [`RedisRate`] keeps its buckets.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisRateOptions {
    /// What every key begins with, as given to `redis_rate`'s `NewLimiter`. Default: `rate:`.
    pub prefix: String,
}

impl Default for RedisRateOptions {
    fn default() -> Self {
        Self { prefix: "rate:".into() }
    }
}

impl RedisRateOptions {
    /// Sets [`prefix`](Self::prefix).
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }
}

impl RedisRate {
    /// A limiter on a store that runs scripts. The quota is `redis_rate`'s `Limit`: rate, period and burst.
    ///
    /// Errors: [`InvalidConfig`](kv_core::ErrorKind::InvalidConfig) for a quota with a zero in it, one that takes 140 years to refill, or
    /// one of more than 1,000,000 a second, which the doubles cannot tell from no limit;
    /// [`Unsupported`](kv_core::ErrorKind::Unsupported) for a store without scripts, and for another algorithm than GCRA. No round trip.
    pub fn new(store: Arc<dyn KvStore>, quota: Quota, options: RedisRateOptions) -> Result<Self> {
        store.require_scripts("ratelimit")?;
        Gcra::new(quota)?;
        if quota.period.as_micros() < u128::from(quota.limit) {
            return Err(Error::invalid_config("ratelimit", "quota is more than 1,000,000 a second"));
        }
        Ok(Self { store, prefix: options.prefix, quota, seconds: quota.period.as_secs_f64().to_string() })
    }

    /// The quota.
    pub fn quota(&self) -> Quota {
        self.quota
    }

    /// Asks for one: `redis_rate`'s `Allow`. One round trip.
    #[doc(alias = "allow")]
    pub async fn check(&self, id: &str) -> Result<Decision> {
        self.check_n(id, 1).await
    }

    /// Asks for `n` at once, all or nothing: `redis_rate`'s `AllowN`. One round trip.
    ///
    /// An error [that may have been executed](kv_core::Executed::Maybe), and a dropped future, may have taken them. They are not asked for again.
    #[doc(alias = "allow_n")]
    pub async fn check_n(&self, id: &str, n: u64) -> Result<Decision> {
        let (level, wait) = self.run(id, n.min(self.quota.burst + 1)).await?;
        if wait == 0 {
            return Ok(Decision::Allowed { remaining: self.remaining(level), reset_after: micros(level) });
        }
        Ok(self.denied(n, level, Duration::from_micros(wait)))
    }

    /// Says what [`check`](Self::check) would decide, and takes nothing. One round trip.
    pub async fn peek(&self, id: &str) -> Result<Decision> {
        let (level, _) = self.run(id, 0).await?;
        let remaining = self.remaining(level);
        if remaining > 0 {
            return Ok(Decision::Allowed { remaining, reset_after: micros(level) });
        }
        let full = self.quota.period.as_nanos() * u128::from(self.quota.burst - 1) / u128::from(self.quota.limit);
        let wait = u128::from(level).saturating_sub(full).try_into().unwrap_or(u64::MAX);
        Ok(self.denied(1, level, micros(wait).max(Duration::from_micros(1))))
    }

    /// Empties the bucket of an id: `redis_rate`'s `Reset`. One round trip.
    pub async fn reset(&self, id: &str) -> Result<()> {
        self.store.delete(&[&key(&self.prefix, id)?]).await.map(drop)
    }

    fn denied(&self, n: u64, level: u64, wait: Duration) -> Decision {
        Decision::Denied {
            // What the doubles round up is denied all the same.
            remaining: self.remaining(level).min(n.saturating_sub(1)),
            retry_after: (n <= self.quota.burst).then_some(wait),
            reset_after: micros(level),
            banned: false,
        }
    }

    /// The whole units that a bucket has room for which is empty in so many nanoseconds.
    ///
    /// Each unit that was taken may have added a step of the doubles, 60 ns: what is lacking for that is not lacking.
    fn remaining(&self, level: u64) -> u64 {
        let (limit, period) = (u128::from(self.quota.limit), self.quota.period.as_nanos());
        let taken = u128::from(level) * limit;
        let steps = (60 * (taken / period + 2) * limit).min(period / 2);
        let room = (period * u128::from(self.quota.burst)).saturating_sub(taken.saturating_sub(steps));
        (room / period).try_into().unwrap_or(u64::MAX)
    }

    /// The nanoseconds until the bucket is empty, and the microseconds to wait.
    async fn run(&self, id: &str, cost: u64) -> Result<(u64, u64)> {
        let args = [
            Arg::Int(self.quota.burst as i64),
            Arg::Int(self.quota.limit as i64),
            Arg::from(self.seconds.as_str()),
            Arg::Int(cost as i64),
            Arg::Bytes(b""),
        ];
        let scripts = self.store.require_scripts(REDIS_RATE.name())?;
        pair(scripts.run(&REDIS_RATE, &[&key(&self.prefix, id)?], &args).await?, REDIS_RATE.name())
    }
}

/// Whole microseconds, never fewer.
fn micros(nanos: u64) -> Duration {
    Duration::from_micros(nanos.div_ceil(1000))
}

#[cfg(feature = "tower")]
#[async_trait::async_trait]
impl crate::tower::Limit for RedisRate {
    async fn check_n(&self, id: &str, n: u64) -> Result<Decision> {
        RedisRate::check_n(self, id, n).await
    }

    fn quota(&self) -> Quota {
        self.quota
    }
}
