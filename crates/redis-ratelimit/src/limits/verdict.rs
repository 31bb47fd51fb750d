use crate::Decision;
use std::{sync::Arc, time::Duration};

/// What several limits say of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    is_allowed: bool,
    each: Vec<(Arc<str>, Decision)>,
}

impl Verdict {
    pub(super) fn new(is_allowed: bool, each: Vec<(Arc<str>, Decision)>) -> Self {
        Self { is_allowed, each }
    }

    /// Whether the request may go on; its cost is taken from all limits then, and else from none.
    pub fn is_allowed(&self) -> bool {
        self.is_allowed
    }

    /// What each limit says, in the order of the limits. In a denial those that would have allowed the request say so, and what they
    /// could still give.
    pub fn each(&self) -> impl Iterator<Item = (&str, Decision)> {
        self.each.iter().map(|(name, decision)| (&**name, *decision))
    }

    /// What the limit of this name says.
    pub fn of(&self, name: &str) -> Option<Decision> {
        self.each().find(|(other, _)| *other == name).map(|(_, decision)| decision)
    }

    /// The limits that refuse.
    pub fn refused(&self) -> impl Iterator<Item = &str> {
        self.each().filter(|(_, decision)| !decision.is_allowed()).map(|(name, _)| name)
    }

    /// How long to wait before the same request: the longest of what the limits say. Zero if it is allowed, `None` if that would never
    /// help.
    pub fn retry_after(&self) -> Option<Duration> {
        self.each()
            .map(|(_, decision)| decision.retry_after())
            .try_fold(Duration::ZERO, |longest, wait| Some(longest.max(wait?)))
    }

    /// How many more such units could be taken at once now: the least of what the limits say.
    pub fn remaining(&self) -> u64 {
        self.each().map(|(_, decision)| decision.remaining()).min().unwrap_or_default()
    }
}
