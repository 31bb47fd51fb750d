use crate::{
    backend::Backend,
    cohort::{Seat, Turn},
    lease::Lease,
    reaper::Leftover,
};
use std::{ops::Range, sync::Arc, time::Duration};
use tokio::time::Instant;

/// A lock that this process has, whichever of its tasks may use it. Dropped, it is given back in the background.
#[derive(Debug)]
pub(crate) struct Holding {
    pub(crate) backend: Arc<Backend>,
    pub(crate) lease: Arc<Lease>,
    /// The number of the lease among those that are renewed.
    kept: usize,
    /// The first place among the tasks that want it; nothing for one that did not queue.
    seat: Option<Seat>,
    /// What is left of the reserved fencing tokens.
    fences: Range<u64>,
    since: Instant,
    /// How many of those who waited here when the lock came have not had it.
    owed: usize,
    open: bool,
}

impl Holding {
    pub(crate) fn new(backend: Arc<Backend>, lease: Lease, seat: Option<Seat>, fences: Range<u64>) -> Self {
        let lease = Arc::new(lease);
        lease.limit(backend.options.max_lease);
        let kept = backend.renewer.keep(lease.clone());
        let owed = seat.as_ref().map_or(0, Seat::behind);
        Self { backend, lease, kept, seat, fences, since: Instant::now(), owed, open: true }
    }

    /// The number of the next holder.
    pub(crate) fn next_fence(&mut self) -> Option<u64> {
        self.fences.next()
    }

    /// Hands the lock to the next task that waits for it here, unless others have to have it first, or nobody does.
    pub(crate) fn pass_on(self) -> Result<(), Self> {
        let mut holding = Box::new(self);
        while holding.may_pass() {
            let Some(next) = holding.seat.as_ref().and_then(Seat::next) else { break };
            holding.owed = holding.owed.saturating_sub(1);
            match next.send(Turn::Hold(holding)) {
                Ok(()) => return Ok(()),
                Err(Turn::Hold(back)) => holding = back,
                Err(Turn::Lead(_) | Turn::LeadOn(_)) => return Ok(()),
            }
        }
        Err(*holding)
    }

    fn may_pass(&self) -> bool {
        let options = &self.backend.options;
        let others_wait_not = self.owed > 0 || self.since.elapsed() < options.local_slice;
        options.renew
            && !options.local_slice.is_zero()
            && others_wait_not
            && !self.fences.is_empty()
            && self.lease.remaining() > options.claim_within_lease() / 4
    }

    /// The lock is known not to be ours any more, or to be somebody else's to give back.
    pub(crate) fn forget(&mut self) {
        self.open = false;
        self.lease.end();
    }

    pub(crate) fn remaining(&self) -> Duration {
        self.lease.remaining()
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.backend.renewer.forget(self.kept);
        if self.open {
            self.lease.end();
            let (keys, token) = (self.lease.keys.clone(), self.lease.token.clone());
            self.backend.reaper.take(Leftover { keys, token, ticket: String::new(), until: self.lease.until() });
        }
    }
}
