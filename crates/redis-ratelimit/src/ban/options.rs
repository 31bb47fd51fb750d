use kv_core::{Error, Result};
use std::time::Duration;

/// When ids are banned, and for how long.
///
/// With the default, ten denials in a row ban for a minute, ten more for two, and so on up to a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BanOptions {
    /// How many denials in a row ban, with nothing admitted between them; 0 for [`ban`](crate::RateLimiter::ban) by hand alone.
    /// Default: 10.
    pub after: u32,
    /// How long the first ban is. Default: 1 min.
    pub base: Duration,
    /// By how much each ban is longer than the one before; not zero. Default: 2.
    pub factor: u32,
    /// How long a ban by denials is at the most. Default: 24 h.
    pub longest: Duration,
    /// How long after its end a ban is forgotten, so that the next is a first one; so are denials after the last. Default: 24 h.
    pub forget_after: Duration,
}

impl Default for BanOptions {
    fn default() -> Self {
        let day = Duration::from_secs(24 * 60 * 60);
        Self { after: 10, base: Duration::from_secs(60), factor: 2, longest: day, forget_after: day }
    }
}

impl BanOptions {
    /// Sets [`after`](Self::after).
    #[must_use]
    pub fn after(mut self, denials: u32) -> Self {
        self.after = denials;
        self
    }

    /// Sets [`base`](Self::base).
    #[must_use]
    pub fn base(mut self, base: Duration) -> Self {
        self.base = base;
        self
    }

    /// Sets [`factor`](Self::factor).
    #[must_use]
    pub fn factor(mut self, factor: u32) -> Self {
        self.factor = factor;
        self
    }

    /// Sets [`longest`](Self::longest).
    #[must_use]
    pub fn longest(mut self, longest: Duration) -> Self {
        self.longest = longest;
        self
    }

    /// Sets [`forget_after`](Self::forget_after).
    #[must_use]
    pub fn forget_after(mut self, forget_after: Duration) -> Self {
        self.forget_after = forget_after;
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        let invalid = |detail| Err(Error::invalid_config("ratelimit", detail));
        if self.factor == 0 {
            return invalid("ban.factor must not be zero");
        }
        if micros(self.base).is_none() || self.longest < self.base {
            return invalid("ban.base must be at least 1 µs, ban.longest no less than ban.base");
        }
        if micros(self.longest).is_none() || micros(self.forget_after).is_none() {
            return invalid("ban.longest and ban.forget_after must be 1 µs to 71 years");
        }
        Ok(())
    }
}

/// In microseconds, from one to as many as are exact in Lua, with sums of some of them to spare.
pub(super) fn micros(time: Duration) -> Option<i64> {
    i64::try_from(time.as_micros()).ok().filter(|micros| (1..=1 << 51).contains(micros))
}
