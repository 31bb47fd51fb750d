use crate::Decision;
use std::time::Duration;

/// A decision, and who made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What is said of the request.
    pub decision: Decision,
    /// On what grounds.
    pub source: Source,
}

/// On what grounds a decision was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// The store was asked: exact.
    Store,
    /// Paid from units that were taken before. What remains and when it resets is as of then.
    Lease,
    /// The store denied the same or less before, and cannot admit it yet.
    DenyCache,
    /// The store is away: this process' share of the quota.
    Insurance,
    /// The store is away and nothing is counted. Nothing is known of what remains: it says 0.
    Unlimited,
}

impl Answer {
    /// Whether the request may go on.
    pub fn is_allowed(&self) -> bool {
        self.decision.is_allowed()
    }

    /// Whether it was decided without the store because that is away.
    pub fn is_degraded(&self) -> bool {
        matches!(self.source, Source::Insurance | Source::Unlimited)
    }

    pub(super) const UNLIMITED: Self =
        Self { decision: Decision::Allowed { remaining: 0, reset_after: Duration::ZERO }, source: Source::Unlimited };
}
