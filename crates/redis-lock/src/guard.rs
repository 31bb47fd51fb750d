use crate::{LockError, holding::Holding, server::Found};
use kv_core::Result;
use std::{fmt, marker::PhantomData, sync::OnceLock, time::Duration};
use tokio::{task::AbortHandle, time::Instant};
use tokio_util::sync::CancellationToken;

/// What giving back a lock found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// It was ours until now.
    Released,
    /// The lease had run out, and nobody holds the lock; of one that is shared, perhaps others do.
    AlreadyExpired,
    /// The lease had run out or was taken away, and somebody else holds the lock.
    Stolen,
}

impl From<Found> for Release {
    fn from(found: Found) -> Self {
        match found {
            Found::Ours => Self::Released,
            Found::Nobody => Self::AlreadyExpired,
            Found::Another => Self::Stolen,
        }
    }
}

/// A lock that is held: all of it, or the [share](crate::ReadGuard) of a reader, a [writer](crate::WriteGuard) or a [permit](crate::Permit).
///
/// Its lease is renewed in the background unless the [options](crate::LockOptions::renew) say otherwise; [`lost`](Self::lost) tells
/// when that fails. [`release`](Self::release) gives the lock back and says whether it was still ours. Dropping the guard gives it
/// back in the background: soon, and by the lease at the latest.
#[must_use = "dropping the guard releases the lock"]
pub struct LockGuard<Of = Whole> {
    holding: Option<Holding>,
    fencing_token: u64,
    signal: OnceLock<Signal>,
    of: PhantomData<Of>,
}

/// What a [`LockGuard`] is of unless it says otherwise: a lock that is not shared.
#[derive(Debug)]
pub enum Whole {}

/// A token to cancel when the lock is lost, and the task that does.
struct Signal(CancellationToken, Option<AbortHandle>);

impl Drop for Signal {
    fn drop(&mut self) {
        if let Some(task) = &self.1 {
            task.abort();
        }
    }
}

/// What it takes to hold a lock elsewhere: for [`LockManager::from_parts`](crate::LockManager::from_parts).
///
/// Whoever has the token can release the lock.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockParts {
    /// What is written under the key of the lock.
    pub token: String,
    /// The guard's fencing token.
    pub fencing_token: u64,
}

impl LockParts {
    /// The parts of a guard that came from elsewhere.
    pub fn new(token: impl Into<String>, fencing_token: u64) -> Self {
        Self { token: token.into(), fencing_token }
    }
}

impl fmt::Debug for LockParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockParts").field("fencing_token", &self.fencing_token).finish_non_exhaustive()
    }
}

impl<Of> LockGuard<Of> {
    pub(crate) fn new(mut holding: Holding) -> Self {
        let fencing_token = holding.next_fence().unwrap_or_default();
        Self::with_fence(holding, fencing_token)
    }

    pub(crate) fn with_fence(holding: Holding, fencing_token: u64) -> Self {
        Self { holding: Some(holding), fencing_token, signal: OnceLock::new(), of: PhantomData }
    }

    /// A number larger than that of every earlier holder of this lock, for the guarded resource to compare.
    ///
    /// A lock cannot stop a holder that was paused beyond its lease. A resource that remembers the largest token it has
    /// seen, and refuses smaller ones, can
    /// (<https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html>). Tokens of one name grow strictly, with gaps;
    /// the first is the server's time in microseconds, so that they grow beyond a lost counter too. All are below 2^52.
    pub fn fencing_token(&self) -> u64 {
        self.fencing_token
    }

    /// How long the lease surely runs unless it is renewed, by this process' clock: less the round trip, 1 % and 2 ms for drift.
    pub fn remaining(&self) -> Duration {
        self.holding.as_ref().map_or(Duration::ZERO, Holding::remaining)
    }

    /// Whether the lease surely runs, as far as this process knows; [`extend`](Self::extend) asks the server.
    pub fn is_valid(&self) -> bool {
        !self.remaining().is_zero()
    }

    /// Ends when the lock is lost: it was found stolen or deleted, its lease could not be renewed in time, or this process slept too
    /// long. No round trip of its own: theft is found by the next renewal.
    ///
    /// It never ends for a lock that is released, nor while the server is away for less than the lease. Cancel safe.
    pub async fn lost(&self) {
        if let Some(holding) = &self.holding {
            holding.lease.lost().await;
        }
    }

    /// A token that is cancelled when the lock is [lost](Self::lost), and never once it is released: for work in other tasks.
    pub fn cancellation_token(&self) -> CancellationToken {
        let signal = self.signal.get_or_init(|| {
            let token = CancellationToken::new();
            let watched = self.holding.as_ref().map(|holding| (holding.backend.runtime.clone(), holding.lease.clone()));
            let cancel = token.clone();
            let task = watched.map(|(runtime, lease)| {
                runtime.spawn(async move {
                    lease.lost().await;
                    cancel.cancel();
                })
            });
            Signal(token, task.map(|task| task.abort_handle()))
        });
        signal.0.clone()
    }

    /// Runs a future for as long as the lock is not [lost](Self::lost); then drops it, with [`LockError::Lost`].
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> Result<T, LockError> {
        tokio::select! {
            biased;
            () = self.lost() => Err(LockError::Lost),
            done = work => Ok(done),
        }
    }

    /// Sets the lease to this long from now, if the lock is still ours; [`LockError::Lost`] if not, or if the lease may have run out before.
    /// One round trip.
    ///
    /// Renewals ask for the same from then on. After [`LockError::Store`] the lease is what it was, or longer. Dropping the future
    /// leaves it so too.
    #[doc(alias = "refresh")]
    #[doc(alias = "renew")]
    pub async fn extend(&mut self, lease: Duration) -> Result<(), LockError> {
        let Some(holding) = &mut self.holding else { return Err(LockError::Lost) };
        let sent = Instant::now();
        // Should the reply be lost, the reaper must not take the lease for over too early.
        holding.lease.asking(sent, lease);
        let lock = &holding.lease;
        match holding.backend.server.extend(lock.keys.kind, &lock.keys.lock, lock.token.as_str(), lease).await? {
            Found::Ours if holding.lease.prolonged(sent, lease) => Ok(()),
            Found::Ours | Found::Nobody | Found::Another => {
                holding.lease.lose();
                Err(LockError::Lost)
            }
        }
    }

    /// Waits for the replicas the options ask for.
    pub(crate) async fn replicated(self) -> Result<Self, LockError> {
        let Some(holding) = &self.holding else { return Ok(self) };
        let (backend, lease) = (&holding.backend, &holding.lease);
        let Some(wanted) = backend.options.wait_replicas else { return Ok(self) };
        let (sent, length) = (Instant::now(), backend.options.lease);
        lease.asking(sent, length);
        match backend.server.replicate(lease.keys.kind, &lease.keys.lock, lease.token.as_str(), length, wanted).await? {
            (Found::Ours, acknowledged) if acknowledged >= wanted.0 && lease.prolonged(sent, length) => Ok(self),
            (Found::Ours, acknowledged) if acknowledged < wanted.0 => Err(LockError::NotReplicated { acknowledged }),
            _ => Err(LockError::Lost),
        }
    }

    /// Gives the lock back, and says whether it was still ours. One round trip; none if a task of this manager waits and gets it.
    ///
    /// The first who waits for the lock has it at once. On an error, or if the future is dropped, it is given back in the background.
    #[doc(alias = "unlock")]
    pub async fn release(mut self) -> Result<Release, LockError> {
        let Some(holding) = self.holding.take() else { return Ok(Release::AlreadyExpired) };
        let Err(mut holding) = holding.pass_on() else { return Ok(Release::Released) };
        let lease = &holding.lease;
        let found = holding.backend.server.release(&lease.keys, lease.token.as_str(), "").await?;
        holding.forget();
        Ok(found.into())
    }
}

impl LockGuard {
    /// Ends the guard and leaves the lock as it is, for [`LockManager::from_parts`](crate::LockManager::from_parts) in another process. No
    /// round trip; nobody renews the lease until then.
    pub fn into_parts(mut self) -> LockParts {
        let token = self.holding.take().map(|mut holding| {
            holding.forget();
            holding.lease.token.as_str().to_owned()
        });
        LockParts { token: token.unwrap_or_default(), fencing_token: self.fencing_token }
    }
}

impl<Of> Drop for LockGuard<Of> {
    fn drop(&mut self) {
        // Whoever waits here gets it; else the reaper does.
        drop(self.holding.take().map(Holding::pass_on));
    }
}

impl<Of> fmt::Debug for LockGuard<Of> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockGuard")
            .field("fencing_token", &self.fencing_token)
            .field("remaining", &self.remaining())
            .finish_non_exhaustive()
    }
}
