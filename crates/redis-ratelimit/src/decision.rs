use std::time::Duration;

/// What a limiter says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The request may go on; its cost is taken.
    Allowed {
        /// How much could be taken at once now.
        remaining: u64,
        /// When all is free again, if nothing more is taken.
        reset_after: Duration,
    },
    /// The request must not go on; nothing is taken.
    #[doc(alias = "Limited")]
    Denied {
        /// How much could be taken at once now: less than the request asked for.
        remaining: u64,
        /// When the same request would be admitted, if nothing is taken before: a microsecond earlier it would not.
        /// `None` if never, because it asks for more than the burst.
        retry_after: Option<Duration>,
        /// When all is free again, if nothing more is taken.
        reset_after: Duration,
        /// Whether the id is [banned](crate::RateLimitOptions::ban): nothing remains then, and the ban is over by `retry_after`.
        banned: bool,
    },
}

/// What [`check_at_most`](crate::RateLimiter::check_at_most) gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// How many units were taken: from none to as many as were asked for.
    pub granted: u64,
    /// What the limiter says of those, or if there are none, of the first that was asked for.
    pub decision: Decision,
}

impl Decision {
    /// Whether the request may go on.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed { .. })
    }

    /// Whether the request is denied because its id is banned.
    pub fn is_banned(&self) -> bool {
        matches!(self, Self::Denied { banned: true, .. })
    }

    /// How much could be taken at once now.
    pub fn remaining(&self) -> u64 {
        match *self {
            Self::Allowed { remaining, .. } | Self::Denied { remaining, .. } => remaining,
        }
    }

    /// How long to wait before the same request: zero if it is allowed, `None` if that would never help.
    pub fn retry_after(&self) -> Option<Duration> {
        match *self {
            Self::Allowed { .. } => Some(Duration::ZERO),
            Self::Denied { retry_after, .. } => retry_after,
        }
    }

    /// When all is free again, if nothing more is taken.
    pub fn reset_after(&self) -> Duration {
        match *self {
            Self::Allowed { reset_after, .. } | Self::Denied { reset_after, .. } => reset_after,
        }
    }
}
