use std::time::Duration;

/// When a [`set`](crate::KvStore::set) writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Condition {
    /// Always.
    #[default]
    Always,
    /// Only if the key is absent: Redis' `NX`.
    #[doc(alias = "NX")]
    IfAbsent,
    /// Only if the key is present: Redis' `XX`.
    #[doc(alias = "XX")]
    IfPresent,
}

/// How a [`set`](crate::KvStore::set) writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SetOptions {
    /// How long the value lives, in whole milliseconds rounded up; `None` is for ever, and takes away a TTL the key
    /// had. Default: `None`.
    pub ttl: Option<Duration>,
    /// When it writes. Default: always.
    pub condition: Condition,
}

impl SetOptions {
    /// Sets [`ttl`](Self::ttl).
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Sets [`condition`](Self::condition).
    #[must_use]
    pub fn condition(mut self, condition: Condition) -> Self {
        self.condition = condition;
        self
    }
}
