use crate::{Algorithm, Decision, Quota, RateLimiter};
use async_trait::async_trait;
use kv_core::{Error, ErrorKind, Result};
use std::{fmt, sync::Arc, time::Duration};

/// What a [`RateLimitLayer`](super::RateLimitLayer) asks: any limiter of this crate, or one around it.
#[async_trait]
pub trait Limit: fmt::Debug + Send + Sync {
    /// Asks for `n` at once, all or nothing.
    async fn check_n(&self, id: &str, n: u64) -> Result<Decision>;

    /// As [`check_n`](Self::check_n), and says whether the limit counts the request, so that what was taken can be given back.
    ///
    /// By default it does.
    async fn check_counted(&self, id: &str, n: u64) -> Result<(Decision, bool)> {
        Ok((self.check_n(id, n).await?, true))
    }

    /// Gives back `n` that were taken; [`ErrorKind::Unsupported`] for a limiter that cannot.
    async fn refund(&self, id: &str, n: u64) -> Result<()> {
        let _ = (id, n);
        Err(Error::new(ErrorKind::Unsupported, "refund").with_detail("this limiter gives nothing back"))
    }

    /// What clients are told of the limit.
    fn quota(&self) -> Quota;

    /// How long until more can be taken than the decision says remains; `None` when that is all there is.
    ///
    /// By default as the quota's [`Algorithm`] has it: exact, but for sliding windows and logs no sooner than what was denied can be
    /// taken, and else than all can.
    fn next_after(&self, decision: &Decision) -> Option<Duration> {
        let quota = self.quota();
        if decision.is_banned() {
            return Some(decision.retry_after().unwrap_or(decision.reset_after()));
        }
        let lacking = quota.burst.checked_sub(decision.remaining()).filter(|lacking| *lacking > 0)?;
        let (reset, limit) = (decision.reset_after(), quota.limit.max(1));
        // What comes back after the first that is lacking.
        let later = match quota.algorithm {
            Algorithm::Gcra => quota.period.as_nanos().saturating_mul(u128::from(lacking - 1)) / u128::from(limit),
            Algorithm::IntervalRefill => {
                quota.period.as_nanos().saturating_mul(u128::from(lacking.div_ceil(limit) - 1))
            }
            _ if decision.is_allowed() => return Some(reset),
            _ => return Some(decision.retry_after().unwrap_or(reset).min(reset)),
        };
        Some(reset.saturating_sub(Duration::from_nanos(later.try_into().unwrap_or(u64::MAX))))
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

    async fn check_counted(&self, id: &str, n: u64) -> Result<(Decision, bool)> {
        (**self).check_counted(id, n).await
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
