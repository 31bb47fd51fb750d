use crate::{keys::Keys, token::Token};
use std::{
    future::pending,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

/// The lease of a lock that this process has, by this process' clock.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) keys: Keys,
    pub(crate) token: Token,
    terms: Mutex<Terms>,
    changed: Notify,
}

#[derive(Clone, Copy, Debug)]
struct Terms {
    state: State,
    /// What a renewal asks for; nothing if nobody renews.
    renewal: Option<Duration>,
    /// Beyond this nobody renews.
    renew_until: Option<Instant>,
    renew_at: Instant,
    /// Until when the lease runs at most.
    until: Instant,
    /// Until when it surely runs, whatever the two clocks do.
    valid_until: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Held,
    Lost,
    /// Given back, or left to itself.
    Ended,
}

/// A lease asked for at `sent`, less 1 % and 2 ms for clocks that differ.
fn valid_until(sent: Instant, lease: Duration) -> Instant {
    sent + lease.saturating_sub(lease / 100 + Duration::from_millis(2))
}

impl Lease {
    /// A lease that was asked for at `sent`, and that a renewal would ask for again.
    pub(crate) fn new(keys: Keys, token: Token, sent: Instant, lease: Duration, renewal: Option<Duration>) -> Self {
        let terms = Terms {
            state: State::Held,
            renewal,
            renew_until: None,
            renew_at: sent + lease / 3,
            until: Instant::now() + lease,
            valid_until: valid_until(sent, lease),
        };
        Self { keys, token, terms: Mutex::new(terms), changed: Notify::new() }
    }

    /// How long the lease surely runs.
    pub(crate) fn remaining(&self) -> Duration {
        let terms = self.terms();
        match terms.state {
            State::Held => terms.valid_until.saturating_duration_since(Instant::now()),
            State::Lost | State::Ended => Duration::ZERO,
        }
    }

    /// When the lease ends at the latest.
    pub(crate) fn until(&self) -> Instant {
        self.terms().until
    }

    /// From now on for a holder who may have it for so long.
    pub(crate) fn limit(&self, longest: Option<Duration>) {
        self.terms().renew_until = longest.map(|longest| Instant::now() + longest);
    }

    /// What to ask for, if it is time to. Until the answer nobody asks again, unless it takes too long.
    pub(crate) fn due(&self, now: Instant) -> Option<Duration> {
        let mut terms = self.terms();
        if terms.state == State::Held && now >= terms.valid_until {
            // Too late: nobody holds by it any more.
            drop(terms);
            self.lose();
            return None;
        }
        let renewal = terms.renewal.filter(|_| terms.state == State::Held && now >= terms.renew_at)?;
        let left = terms.renew_until.map_or(renewal, |until| until.saturating_duration_since(now).min(renewal));
        let prolongs = now + left > terms.until;
        terms.renew_at = now + terms.valid_until.saturating_duration_since(now) / 8;
        prolongs.then(|| terms.until = now + left)?;
        Some(left)
    }

    /// About to ask for a lease: should the answer be lost, it may run that long all the same.
    pub(crate) fn asking(&self, sent: Instant, lease: Duration) {
        let mut terms = self.terms();
        terms.until = terms.until.max(sent + lease);
    }

    /// The lease runs from `sent` on; says whether it was still held.
    pub(crate) fn renewed(&self, sent: Instant, lease: Duration) -> bool {
        let mut terms = self.terms();
        // Once it may have run out, somebody else may have had the lock before a late question of ours took it again.
        let held = terms.state == State::Held && Instant::now() < terms.valid_until;
        if held {
            terms.valid_until = valid_until(sent, lease);
            terms.until = terms.until.max(sent + lease);
            // A third, give or take a tenth: leases of one moment do not stay together.
            terms.renew_at = sent + lease.div_f64(3.0).mul_f64(rand::random_range(0.9..1.1));
        }
        held
    }

    /// By hand: renewals ask for the same from now on.
    pub(crate) fn prolonged(&self, sent: Instant, lease: Duration) -> bool {
        let held = self.renewed(sent, lease);
        let mut terms = self.terms();
        terms.renewal = terms.renewal.map(|_| lease);
        held
    }

    pub(crate) fn lose(&self) {
        self.end_as(State::Lost);
    }

    pub(crate) fn end(&self) {
        self.end_as(State::Ended);
    }

    fn end_as(&self, state: State) {
        let mut terms = self.terms();
        if terms.state == State::Held {
            terms.state = state;
            drop(terms);
            self.changed.notify_waiters();
        }
    }

    /// Ends when the lease is known to be lost, or can no longer be told not to be.
    pub(crate) async fn lost(&self) {
        loop {
            let changed = self.changed.notified();
            let Terms { state, valid_until, .. } = *self.terms();
            match state {
                State::Ended => return pending().await,
                State::Held if Instant::now() < valid_until => {
                    tokio::select! {
                        () = changed => {}
                        () = sleep_until(valid_until) => {}
                    }
                }
                State::Held | State::Lost => return,
            }
        }
    }

    fn terms(&self) -> MutexGuard<'_, Terms> {
        self.terms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
