use crate::BanOptions;
use kv_core::{Error, Result};
use std::time::Duration;

/// How a [`RateLimiter`](crate::RateLimiter) keeps its buckets.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimitOptions {
    /// What every key begins with; no braces. Limiters with different quotas need different prefixes.
    /// Default: `ratelimit`.
    pub prefix: String,
    /// How long a [reservation](crate::RateLimiter::reserve) may wait at the most; for GCRA alone. All limiters of a prefix need the
    /// same: a bucket that holds more than the one who asks knows of is cut down to that, as after a jump of the clock, and the room of
    /// reservations beyond it is given out twice. Default: zero.
    pub longest_wait: Duration,
    /// Bans those who do not keep to the quota; for GCRA alone, without reservations and without a front. A check reads one key more then,
    /// and one that is denied writes it. Default: none.
    pub ban: Option<BanOptions>,
}

impl Default for RateLimitOptions {
    fn default() -> Self {
        Self { prefix: "ratelimit".into(), longest_wait: Duration::ZERO, ban: None }
    }
}

impl RateLimitOptions {
    /// Sets [`prefix`](Self::prefix).
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets [`longest_wait`](Self::longest_wait).
    #[must_use]
    pub fn longest_wait(mut self, longest_wait: Duration) -> Self {
        self.longest_wait = longest_wait;
        self
    }

    /// Sets [`ban`](Self::ban).
    #[must_use]
    pub fn ban(mut self, ban: impl Into<Option<BanOptions>>) -> Self {
        self.ban = ban.into();
        self
    }

    /// Refuses what only a limiter by GCRA with one bucket an id can do.
    pub(crate) fn of_one_bucket(&self) -> Result<()> {
        if !self.longest_wait.is_zero() {
            return Err(Error::invalid_config("ratelimit", "longest_wait is for a single limit by Gcra"));
        }
        if self.ban.is_some() {
            return Err(Error::invalid_config("ratelimit", "ban is for a single limit by Gcra"));
        }
        Ok(())
    }
}
