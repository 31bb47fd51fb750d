use super::{key, pair, window::FLEXIBLE};
use crate::{Algorithm, Decision, Quota};
use kv_core::{Arg, Error, ErrorKind, KvStore, KvStoreExt, Result};
use std::{sync::Arc, time::Duration};

/// A limiter on the state of [rate-limiter-flexible](https://github.com/animir/node-rate-limiter-flexible)'s `RateLimiterRedis` for Node:
/// both enforce one limit together.
///
/// A window opens with the first request of an id and counts those that are denied too, so that who goes on while denied is
/// not served sooner. Two windows that meet admit up to twice the limit.
#[derive(Clone, Debug)]
#[doc(alias = "RateLimiterRedis")]
pub struct Flexible {
    store: Arc<dyn KvStore>,
    options: FlexibleOptions,
    quota: Quota,
}

/// How a [`Flexible`] counts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlexibleOptions {
    /// What every key begins with: the other's `keyPrefix` and a colon. Default: `rlflx:`.
    pub prefix: String,
    /// How long whoever goes over the limit is denied, in whole seconds; zero to the end of the window. Default: zero.
    pub block_duration: Duration,
}

impl Default for FlexibleOptions {
    fn default() -> Self {
        Self { prefix: "rlflx:".into(), block_duration: Duration::ZERO }
    }
}

impl FlexibleOptions {
    /// Sets [`prefix`](Self::prefix).
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets [`block_duration`](Self::block_duration).
    #[must_use]
    pub fn block_duration(mut self, time: Duration) -> Self {
        self.block_duration = time;
        self
    }
}

/// Integers up to here are exact in Lua, with some to spare, and so are their sums with what is counted by then.
const MAX: u64 = 1 << 51;

impl Flexible {
    /// A limiter on a store that runs scripts. The quota's limit is the other's `points`, its period the `duration`.
    ///
    /// Errors: [`InvalidConfig`](kv_core::ErrorKind::InvalidConfig) for a limit of zero, a burst apart from the limit, and
    /// a period or block that is not whole seconds, which the other would cut off;
    /// [`Unsupported`](kv_core::ErrorKind::Unsupported) for a store without scripts, and for another algorithm than fixed windows, which need
    /// not be named. No round trip.
    pub fn new(store: Arc<dyn KvStore>, quota: Quota, options: FlexibleOptions) -> Result<Self> {
        store.require_scripts("ratelimit")?;
        let invalid = |detail| Err(Error::invalid_config("ratelimit", detail));
        if !matches!(quota.algorithm, Algorithm::Gcra | Algorithm::FixedWindow) {
            let detail = "this takes no algorithm but FixedWindow";
            return Err(Error::new(ErrorKind::Unsupported, "ratelimit").with_detail(detail));
        }
        let (period, block) = (quota.period, options.block_duration);
        if quota.limit == 0 || quota.limit > MAX {
            return invalid("quota must be from 1 to 2^51");
        }
        if quota.burst != quota.limit {
            return invalid("burst must be the limit: a window has no other");
        }
        if period.subsec_nanos() != 0 || period.is_zero() || period.as_secs() > MAX / 1000 {
            return invalid("period must be whole seconds, and not zero");
        }
        if block.subsec_nanos() != 0 || block.as_secs() > MAX / 1000 {
            return invalid("block_duration must be whole seconds");
        }
        Ok(Self { store, options, quota })
    }

    /// The quota.
    pub fn quota(&self) -> Quota {
        self.quota
    }

    /// Asks for one: the other's `consume`. One round trip.
    #[doc(alias = "consume")]
    pub async fn check(&self, id: &str) -> Result<Decision> {
        self.check_n(id, 1).await
    }

    /// Asks for `n` at once, and counts them even if they are denied; up to 2^51. One round trip.
    ///
    /// An error [that may have been executed](kv_core::Executed::Maybe), and a dropped future, may have counted them. They are not asked for again.
    pub async fn check_n(&self, id: &str, n: u64) -> Result<Decision> {
        if n > MAX {
            return Err(Error::invalid_input("ratelimit", "more than 2^51 at once"));
        }
        let (consumed, left) = self.run(id, n).await?;
        Ok(self.decide(n, consumed, left))
    }

    /// Says what [`check`](Self::check) would decide, and counts nothing. One round trip.
    pub async fn peek(&self, id: &str) -> Result<Decision> {
        let (consumed, left) = self.run(id, 0).await?;
        if consumed < self.quota.limit {
            return Ok(self.decide(0, consumed, left));
        }
        Ok(self.decide(1, consumed.saturating_add(1), left))
    }

    /// Ends the window of an id, and its block: the other's `delete`. One round trip.
    pub async fn reset(&self, id: &str) -> Result<()> {
        self.store.delete(&[&key(&self.options.prefix, id)?]).await.map(drop)
    }

    fn decide(&self, n: u64, consumed: u64, left: u64) -> Decision {
        // A key lives through the millisecond it expires in.
        let reset_after = if consumed == 0 { Duration::ZERO } else { Duration::from_millis(left.saturating_add(1)) };
        let remaining = self.quota.limit.saturating_sub(consumed);
        if consumed <= self.quota.limit {
            return Decision::Allowed { remaining, reset_after };
        }
        Decision::Denied {
            remaining,
            retry_after: (n <= self.quota.limit).then_some(reset_after),
            reset_after,
            banned: false,
        }
    }

    /// What is counted, and for how many milliseconds yet.
    async fn run(&self, id: &str, points: u64) -> Result<(u64, u64)> {
        let args = [points, self.quota.limit, self.quota.period.as_secs(), self.options.block_duration.as_secs()];
        let args = args.map(|number| Arg::Int(number as i64));
        let scripts = self.store.require_scripts(FLEXIBLE.name())?;
        pair(scripts.run(&FLEXIBLE, &[&key(&self.options.prefix, id)?], &args).await?, FLEXIBLE.name())
    }
}

#[cfg(feature = "tower")]
#[async_trait::async_trait]
impl crate::tower::Limit for Flexible {
    async fn check_n(&self, id: &str, n: u64) -> Result<Decision> {
        Flexible::check_n(self, id, n).await
    }

    fn quota(&self) -> Quota {
        self.quota
    }

    fn next_after(&self, decision: &Decision) -> Option<Duration> {
        (decision.remaining() < self.quota.limit).then_some(decision.reset_after())
    }
}
