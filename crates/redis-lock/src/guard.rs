use crate::{
    LockError,
    backend::Backend,
    reaper::Leftover,
    script::{EXTEND, RELEASE},
};
use kv_core::{Arg, Limits, Result};
use std::{fmt, sync::Arc, time::Duration};
use tokio::time::Instant;

/// A lock that may be ours on the server. Dropped without a verdict it goes to the reaper.
pub(crate) struct Holding {
    backend: Arc<Backend>,
    key: String,
    token: String,
    /// When the lease ends at the latest, counted from before it was asked for.
    until: Instant,
    /// Until when it surely runs, whatever the two clocks do.
    valid_until: Instant,
    open: bool,
}

impl Holding {
    pub(crate) fn new(backend: Arc<Backend>, key: String, token: String, lease: Duration) -> Self {
        let now = Instant::now();
        Self { backend, key, token, until: now + lease, valid_until: valid_until(now, lease), open: true }
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// The lock is known not to be ours.
    pub(crate) fn forget(&mut self) {
        self.open = false;
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        if self.open {
            let (key, token) = (std::mem::take(&mut self.key), std::mem::take(&mut self.token));
            self.backend.reaper.take(Leftover { key, token, until: self.until });
        }
    }
}

/// What giving back a lock found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// It was ours until now.
    Released,
    /// The lease had run out, and nobody holds the lock.
    AlreadyExpired,
    /// The lease had run out or was taken away, and somebody else holds the lock.
    Stolen,
}

/// A lock that is held.
///
/// [`release`](Self::release) gives it back and says whether it was still ours. Dropping the guard gives it back in the
/// background: soon, and by the lease at the latest.
#[must_use = "dropping the guard releases the lock"]
pub struct LockGuard {
    holding: Holding,
    fencing_token: u64,
}

/// A lease asked for at `sent`, less 1 % and 2 ms for clocks that differ.
fn valid_until(sent: Instant, lease: Duration) -> Instant {
    sent + lease.saturating_sub(lease / 100 + Duration::from_millis(2))
}

impl LockGuard {
    pub(crate) fn new(holding: Holding, fencing_token: u64) -> Self {
        Self { holding, fencing_token }
    }

    /// A number larger than that of every earlier holder of this lock, for the guarded resource to compare.
    ///
    /// A lock cannot stop a holder that was paused beyond its lease. A resource that remembers the largest token it has
    /// seen, and refuses smaller ones, can
    /// (<https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html>).
    pub fn fencing_token(&self) -> u64 {
        self.fencing_token
    }

    /// How long the lease surely runs, by this process' clock: the lease less the round trip, 1 % and 2 ms for drift.
    pub fn remaining(&self) -> Duration {
        self.holding.valid_until.saturating_duration_since(Instant::now())
    }

    /// Whether the lease surely runs. It knows of no theft: [`extend`](Self::extend) asks.
    pub fn is_valid(&self) -> bool {
        !self.remaining().is_zero()
    }

    /// Prolongs the lease to this long from now, if the lock is still ours; [`LockError::Lost`] if not. One round trip.
    ///
    /// After [`LockError::Store`] the lease is what it was, or longer. Dropping the future leaves it so too.
    #[doc(alias = "refresh")]
    #[doc(alias = "renew")]
    pub async fn extend(&mut self, lease: Duration) -> Result<(), LockError> {
        let millis = Limits::ttl_millis("extend", lease)?;
        let sent = Instant::now();
        // Should the reply be lost, the reaper must not take the lease for over too early.
        self.holding.until = self.holding.until.max(sent + lease);
        let args = [self.holding.token().into(), Arg::Int(millis)];
        if self.holding.backend.run(&EXTEND, &[self.holding.key()], &args).await? == 1 {
            self.holding.valid_until = valid_until(sent, lease);
            return Ok(());
        }
        self.holding.forget();
        self.holding.valid_until = sent;
        Err(LockError::Lost)
    }

    /// Gives the lock back, and says whether it was still ours. One round trip.
    ///
    /// On an error, or if the future is dropped, it is given back in the background.
    #[doc(alias = "unlock")]
    pub async fn release(mut self) -> Result<Release, LockError> {
        let args = [self.holding.token().into()];
        let released = self.holding.backend.run(&RELEASE, &[self.holding.key()], &args).await?;
        self.holding.forget();
        Ok(match released {
            1 => Release::Released,
            0 => Release::AlreadyExpired,
            _ => Release::Stolen,
        })
    }
}

impl fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockGuard")
            .field("fencing_token", &self.fencing_token)
            .field("remaining", &self.remaining())
            .finish_non_exhaustive()
    }
}
