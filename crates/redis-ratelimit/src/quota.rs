use crate::Algorithm;
use std::time::Duration;

/// A rate and a burst: `limit` requests per `period` in the long run, and up to `burst` at once.
///
/// In any span of time `t` no more than `burst + limit * t / period` are admitted, or what another [`Algorithm`] says.
///
/// ```
/// # use redis_ratelimit::{Algorithm, Quota}; use std::time::Duration;
/// let quota = Quota::per_second(10).burst(50);
/// assert_eq!(quota, Quota::per(10, Duration::from_secs(1)).burst(50));
/// let strict = Quota::per_minute(100).algorithm(Algorithm::SlidingLog);
/// assert_ne!(strict, Quota::per_minute(100));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[doc(alias = "Limit")]
pub struct Quota {
    pub(crate) limit: u64,
    pub(crate) period: Duration,
    pub(crate) burst: u64,
    pub(crate) algorithm: Algorithm,
}

impl Quota {
    /// So many requests per period, all of them at once if need be. The period counts in whole microseconds, rounded up.
    pub const fn per(limit: u64, period: Duration) -> Self {
        Self { limit, period, burst: limit, algorithm: Algorithm::Gcra }
    }

    /// So many requests per second.
    pub const fn per_second(limit: u64) -> Self {
        Self::per(limit, Duration::from_secs(1))
    }

    /// So many requests per minute.
    pub const fn per_minute(limit: u64) -> Self {
        Self::per(limit, Duration::from_secs(60))
    }

    /// So many requests per hour.
    pub const fn per_hour(limit: u64) -> Self {
        Self::per(limit, Duration::from_secs(60 * 60))
    }

    /// So many requests per 24 hours.
    pub const fn per_day(limit: u64) -> Self {
        Self::per(limit, Duration::from_secs(24 * 60 * 60))
    }

    /// Sets how many requests may come at once, which only [`Gcra`](Algorithm::Gcra) and [`IntervalRefill`](Algorithm::IntervalRefill) tell
    /// from the limit. Default: the limit.
    #[must_use]
    pub const fn burst(mut self, burst: u64) -> Self {
        self.burst = burst;
        self
    }

    /// Sets how requests are counted. Default: [`Gcra`](Algorithm::Gcra).
    #[must_use]
    pub const fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// The requests per period.
    pub const fn limit(&self) -> u64 {
        self.limit
    }

    /// The period.
    pub const fn period(&self) -> Duration {
        self.period
    }
}
