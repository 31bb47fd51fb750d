use kv_core::TwinContext;
use std::collections::VecDeque;

/// Who waits for a lock, first come, first served.
pub(super) type Line = VecDeque<Box<str>>;

/// A place in line: `token:claim:reserve:known:channel`.
pub(super) struct Ticket<'a> {
    pub(super) token: &'a str,
    pub(super) claim: i64,
    pub(super) reserve: i64,
    /// Whether the server knows everybody who listens to the channel.
    known: bool,
    pub(super) channel: &'a str,
}

impl<'a> Ticket<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(5, ':');
        let mut next = || parts.next();
        let (token, claim, reserve, known, channel) = (next()?, next()?, next()?, next()?, next()?);
        Some(Self { token, claim: claim.parse().ok()?, reserve: reserve.parse().ok()?, known: known == "1", channel })
    }

    /// Whether its owner is there as far as is known.
    pub(super) fn is_live(&self, store: &TwinContext<'_>) -> bool {
        !self.known || store.listeners(self.channel) > 0
    }

    /// Hands the lock over, with the last of the fencing tokens that go with it.
    pub(super) fn grant(&self, store: &mut TwinContext<'_>, lock: &str, last: i64) {
        store.set(lock, format!("{}*", self.token), Some(self.claim));
        store.publish(self.channel, format!("{}:{last}", self.token));
    }
}

/// The first in line, who is in it no more.
pub(super) fn pop(store: &mut TwinContext<'_>, line: &str) -> Option<Box<str>> {
    let tickets = store.state::<Line>(line).ok()??;
    let first = tickets.pop_front();
    if tickets.is_empty() {
        store.delete(line);
    }
    first
}
