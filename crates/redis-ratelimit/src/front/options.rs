use super::LeaseOptions;
use kv_core::{BreakerOptions, Error, Result};
use std::time::Duration;

/// What stands between callers and the store in a [`FrontLimiter`](crate::FrontLimiter).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FrontOptions {
    /// How many concurrent checks go to the store as one at most, up to 1000; 1 sends each alone. Exact. Default: 128.
    pub batch: usize,
    /// For how many ids to remember what was denied; 0 for none. What others give back or reset is seen late then: once the
    /// denied request would have been admitted anyway. Default: 0.
    pub deny_cache: usize,
    /// Whether units are taken ahead, and how many; it loosens the quota by so much per process. Default: no.
    #[doc(alias = "prefetch")]
    pub lease: Option<LeaseOptions>,
    /// How many processes share the quota, for [`lease`](Self::lease) and [`FailurePolicy::Local`]; not zero. Default: 1.
    pub processes: u32,
    /// What to say when the store is away. Default: [`FailurePolicy::Closed`].
    pub on_failure: FailurePolicy,
    /// How long a check may take before [`on_failure`](Self::on_failure) decides; it may be counted all the same. Default: as long as the
    /// store takes.
    #[doc(alias = "timeout")]
    pub budget: Option<Duration>,
    /// When to stop asking a store that is away. Default: that of [`BreakerOptions`].
    pub breaker: Option<BreakerOptions>,
}

/// What is said of a request when the store is away: unavailable, out of memory, or too slow.
///
/// Other errors are errors, whatever the policy: a bucket that is none is no free pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailurePolicy {
    /// The error.
    #[default]
    #[doc(alias = "fail_closed")]
    Closed,
    /// It may go on, and nothing is counted.
    #[doc(alias = "fail_open")]
    Open,
    /// What an insurance limiter in this process says, with the quota divided by the [processes](FrontOptions::processes): the same limit
    /// over all of them, and a burst of at least 1 for each. It begins empty, and what it admits the store never hears of: one change
    /// from one to the other admits a burst more.
    #[doc(alias = "insurance")]
    Local,
}

impl Default for FrontOptions {
    fn default() -> Self {
        Self {
            batch: 128,
            deny_cache: 0,
            lease: None,
            processes: 1,
            on_failure: FailurePolicy::default(),
            budget: None,
            breaker: Some(BreakerOptions::default()),
        }
    }
}

impl FrontOptions {
    /// Sets [`batch`](Self::batch).
    #[must_use]
    pub fn batch(mut self, checks: usize) -> Self {
        self.batch = checks;
        self
    }

    /// Sets [`deny_cache`](Self::deny_cache).
    #[must_use]
    pub fn deny_cache(mut self, ids: usize) -> Self {
        self.deny_cache = ids;
        self
    }

    /// Sets [`lease`](Self::lease).
    #[must_use]
    pub fn lease(mut self, lease: impl Into<Option<LeaseOptions>>) -> Self {
        self.lease = lease.into();
        self
    }

    /// Sets [`processes`](Self::processes).
    #[must_use]
    pub fn processes(mut self, processes: u32) -> Self {
        self.processes = processes;
        self
    }

    /// Sets [`on_failure`](Self::on_failure).
    #[must_use]
    pub fn on_failure(mut self, policy: FailurePolicy) -> Self {
        self.on_failure = policy;
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

    pub(super) fn check(&self) -> Result<()> {
        let invalid = |detail| Err(Error::invalid_config("ratelimit", detail));
        const MOST: usize = 1 << 24;
        if self.batch == 0 || self.batch > 1000 {
            return invalid("batch must be 1 to 1000");
        }
        if self.deny_cache > MOST {
            return invalid("deny_cache must be at most 2^24");
        }
        if self.processes == 0 {
            return invalid("processes must not be zero");
        }
        if self.budget.is_some_and(|budget| budget.is_zero()) {
            return invalid("budget must not be zero");
        }
        if let Some(lease) = self.lease {
            if lease.units < 2 || lease.ids == 0 || lease.ids > MOST {
                return invalid("lease.units must be at least 2, lease.ids 1 to 2^24");
            }
            if lease.time < Duration::from_millis(1) || lease.time > Duration::from_secs(60) {
                return invalid("lease.time must be 1 ms to 60 s");
            }
        }
        Ok(())
    }
}
