use crate::{Decision, Quota, RateLimiter};
use async_trait::async_trait;
use kv_core::{Error, ErrorKind, Result};
use std::{fmt, sync::Arc, time::Duration};

/// What a [`RateLimitLayer`](super::RateLimitLayer) asks: any limiter of this crate, or one around it.
#[async_trait]
pub trait Limit: fmt::Debug + Send + Sync {
    /// Asks for `n` at once, all or nothing.
    async fn check_n(&self, id: &str, n: u64) -> Result<Decision>;

    /// Gives back `n` that were taken; [`ErrorKind::Unsupported`] for a limiter that cannot.
    async fn refund(&self, id: &str, n: u64) -> Result<()> {
        let _ = (id, n);
        Err(Error::new(ErrorKind::Unsupported, "refund").with_detail("this limiter gives nothing back"))
    }

    /// What clients are told of the limit.
    fn quota(&self) -> Quota;

    /// How long until more can be taken than the decision says remains; `None` when that is all there is.
    ///
    /// By default that of a bucket which refills evenly.
    fn next_after(&self, decision: &Decision) -> Option<Duration> {
        let quota = self.quota();
        let more = quota.burst.checked_sub(decision.remaining())?.checked_sub(1)?;
        // All that is lacking but for one unit is still lacking then.
        let lacking = quota.period.as_nanos().saturating_mul(more.into()) / u128::from(quota.limit.max(1));
        let lacking = Duration::from_nanos(lacking.try_into().unwrap_or(u64::MAX));
        Some(decision.reset_after().saturating_sub(lacking))
    }
}

#[async_trait]
impl Limit for RateLimiter {
    async fn check_n(&self, id: &str, n: u64) -> Result<Decision> {
        RateLimiter::check_n(self, id, n).await
    }

    async fn refund(&self, id: &str, n: u64) -> Result<()> {
        RateLimiter::refund(self, id, n).await.map(drop)
    }

    fn quota(&self) -> Quota {
        RateLimiter::quota(self)
    }
}

#[async_trait]
impl<L: Limit + ?Sized> Limit for Arc<L> {
    async fn check_n(&self, id: &str, n: u64) -> Result<Decision> {
        (**self).check_n(id, n).await
    }

    async fn refund(&self, id: &str, n: u64) -> Result<()> {
        (**self).refund(id, n).await
    }

    fn quota(&self) -> Quota {
        (**self).quota()
    }

    fn next_after(&self, decision: &Decision) -> Option<Duration> {
        (**self).next_after(decision)
    }
}
