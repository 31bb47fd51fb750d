use crate::{
    LockError,
    backend::Backend,
    cohort::{Seat, Turn},
    holding::Holding,
    keys::Keys,
    lease::Lease,
    mailbox::{News, Wait},
    reaper::Leftover,
    server::{Attempt, Claimant},
    token::{Share, Token},
};
use kv_core::{Executed, Result};
use std::{mem, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until, timeout_at};

/// One acquisition until it is decided. Dropped before, its place in line goes to the next task that waits, and whatever else it may
/// have on the server to the reaper.
#[derive(Debug)]
pub(crate) struct Request {
    backend: Arc<Backend>,
    seat: Option<Seat>,
    /// What it may have.
    left: Leftover,
    undecided: bool,
    /// Whether the ticket is known to have been in line.
    in_line: bool,
    reserve: u64,
    /// What it takes of a room, where that is what is wanted.
    share: Option<Share>,
    /// When that was sent which the server answered last.
    sent: Instant,
}

/// Fencing tokens for whoever waits: tasks that come meanwhile are served too.
const RESERVE_IN_LINE: u64 = 8;
const LONGEST_RESERVE: u64 = 512;

/// When a wait ends: at the latest when no process lives any more.
pub(crate) fn deadline(wait: Duration) -> Instant {
    const FOREVER: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 30);
    let now = Instant::now();
    now.checked_add(wait).unwrap_or(now + FOREVER)
}

impl Request {
    pub(crate) fn new(backend: Arc<Backend>, keys: Keys, seat: Option<Seat>, share: Option<Share>) -> Self {
        let token = Token::random(backend.options.label.as_deref(), share);
        let sent = Instant::now();
        // As often again as tasks wait: more come while they are served.
        let reserve = seat.as_ref().map_or(1, |seat| (2 * seat.behind() as u64).clamp(1, LONGEST_RESERVE));
        let left = Leftover { keys, token, ticket: String::new(), until: sent };
        Self { backend, seat, left, undecided: false, in_line: false, reserve, share, sent }
    }

    fn count(&self) -> u64 {
        self.share.map_or(self.reserve, |share| share.limit.into())
    }

    /// Asks once.
    pub(crate) async fn ask(&mut self) -> Result<Attempt> {
        let (lease, count) = (self.backend.options.lease, self.count());
        let left = &mut self.left;
        let sent = Instant::now();
        left.until = sent + lease;
        let was_undecided = self.undecided;
        // From here on the lock may be ours: whatever ends this call without a verdict leaves it to the reaper.
        self.undecided = true;
        let (token, ticket) = (left.token.as_str(), Some(left.ticket.as_str()).filter(|ticket| !ticket.is_empty()));
        let claimant = Claimant { token, lease, count, ticket, is_old: self.in_line };
        let answer = self.backend.server.acquire(&left.keys, claimant).await;
        match &answer {
            Ok(Attempt::Held(_)) => (self.undecided, self.in_line) = (!left.ticket.is_empty(), !left.ticket.is_empty()),
            Ok(Attempt::Passed) => (self.undecided, self.in_line) = (false, false),
            Err(error) if error.executed() == Executed::No => self.undecided = was_undecided,
            Err(_) => self.in_line = !left.ticket.is_empty(),
            Ok(Attempt::Ours(_)) => {}
        }
        if answer.is_ok() {
            self.sent = sent;
        }
        answer
    }

    /// Asks until the lock is ours or time is up.
    pub(crate) async fn wait(mut self, by: Instant) -> Result<Holding, LockError> {
        let claim = self.backend.options.claim_within_lease();
        let mut wait = match self.left.ticket.is_empty() {
            true => self.backend.mailbox.address().is_some().then(|| self.line_up()),
            false => Some(self.listen()),
        };
        loop {
            let (remaining, failure) = match self.ask().await {
                Ok(Attempt::Ours(last)) => return Ok(self.into_holding(last, None)),
                Ok(Attempt::Held(remaining)) => (remaining, None),
                Ok(Attempt::Passed) => {
                    self.left.token = Token::random(self.backend.options.label.as_deref(), self.share);
                    wait = Some(self.line_up());
                    continue;
                }
                // Whoever stands in line stays there while a server comes back.
                Err(error) if wait.is_some() && error.is_temporary() => (None, Some(error)),
                Err(error) => return Err(error.into()),
            };
            if Instant::now() >= by {
                return Err(failure.map_or(LockError::Timeout, LockError::Store));
            }
            let Some(wait) = &mut wait else {
                self.open_mailbox(by).await;
                wait = Some(self.line_up());
                continue;
            };
            // Redis keeps a key through the millisecond it expires in.
            let expired = remaining.map_or(claim, |remaining| remaining + Duration::from_millis(1));
            let look = Instant::now() + (claim / 4).mul_f64(rand::random_range(0.8..1.0)).min(expired);
            tokio::select! {
                biased;
                news = wait.news() => if let News::Granted(last) = news {
                    // Granted after the last answer was asked for, so the claim runs from there at least.
                    let runs = (self.sent + claim).saturating_duration_since(Instant::now());
                    if self.backend.options.renew && runs > claim / 4 {
                        return Ok(self.into_holding(last, Some(claim)));
                    }
                    *wait = self.listen();
                },
                () = sleep_until(look.min(by)) => if Instant::now() >= by {
                    return Err(failure.map_or(LockError::Timeout, LockError::Store));
                },
            }
        }
    }

    /// Without a mailbox nobody tells it anything, and it looks for itself.
    async fn open_mailbox(&self, by: Instant) {
        if let Ok(Err(error)) = timeout_at(by, self.backend.mailbox.open(&self.backend.server)).await {
            tracing::warn!(%error, "cannot subscribe: waiters of locks look for themselves");
        }
    }

    /// Waits in line from the next question on.
    fn line_up(&mut self) -> Wait {
        if self.share.is_none() {
            self.reserve = self.reserve.max(RESERVE_IN_LINE);
        }
        let claim = self.backend.options.claim_within_lease();
        let channel = self.backend.mailbox.address().unwrap_or_default();
        self.left.ticket = self.left.token.ticket(claim, self.count(), channel, self.backend.server.is_one());
        self.listen()
    }

    fn listen(&self) -> Wait {
        self.backend.mailbox.wait(self.left.token.as_str())
    }

    /// A lock that is ours: for the lease, or for the claim of somebody who waited.
    pub(crate) fn into_holding(mut self, last: u64, claim: Option<Duration>) -> Holding {
        self.undecided = false;
        let options = &self.backend.options;
        let lease = claim.unwrap_or(options.lease);
        let renewal = options.renew.then_some(options.lease);
        let fences = (last + 1).saturating_sub(self.reserve)..last + 1;
        let (keys, token) = (mem::take(&mut self.left.keys), mem::take(&mut self.left.token));
        let lease = Lease::new(keys, token, self.sent, lease, renewal);
        Holding::new(self.backend.clone(), lease, self.seat.take(), fences)
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if !self.undecided {
            return;
        }
        let Leftover { keys, token, ticket, until } = &mut self.left;
        let left =
            Leftover { keys: mem::take(keys), token: mem::take(token), ticket: mem::take(ticket), until: *until };
        match self.seat.take() {
            Some(seat) if !left.ticket.is_empty() => self.bequeath(left, seat),
            _ => self.backend.reaper.take(left),
        }
    }
}

impl Request {
    /// Leaves the place in line to the next task that waits behind.
    fn bequeath(&self, left: Leftover, seat: Seat) {
        let Self { backend, in_line, reserve, share, sent, .. } = self;
        let (backend, in_line, reserve, share, sent) = (backend.clone(), *in_line, *reserve, *share, *sent);
        let seat = Some(seat);
        let mut heir = Box::new(Self { backend, seat, left, undecided: true, in_line, reserve, share, sent });
        while let Some(next) = heir.seat.as_ref().and_then(Seat::next) {
            match next.send(Turn::LeadOn(heir)) {
                Ok(()) => return,
                Err(Turn::LeadOn(back)) => heir = back,
                Err(Turn::Lead(_) | Turn::Hold(_)) => return,
            }
        }
        // Nobody is behind: with the seat gone first, it does not come back here.
        drop(heir.seat.take());
    }
}
