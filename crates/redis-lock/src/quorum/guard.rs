use super::{
    attempt::runtime_gone,
    claim::Claim,
    extension::{self, Renewal},
    release,
};
use crate::{LockError, Release};
use std::{fmt, future::Future, sync::Arc, time::Duration};
use tokio::task::AbortHandle;

/// A lock that a majority of the servers has given us.
///
/// Its lease is renewed in the background unless the [options](crate::QuorumOptions::renew) say otherwise, for as long
/// as the guard lives; [`lost`](Self::lost) tells when that fails. [`release`](Self::release) gives the lock back and
/// says whether it was still ours. Dropping the guard gives it back on all servers in the background: soon, and by the
/// lease at the latest; it never waits, and needs no runtime.
///
/// There is no fencing token, on purpose. Counters on several servers do not agree: the largest of one majority can be
/// smaller than the largest of an earlier one, and a token that may shrink fences nothing off. Where a resource can
/// compare tokens, use a [`LockManager`](crate::LockManager) on one server.
#[must_use = "dropping the guard releases the lock"]
pub struct QuorumGuard {
    claim: Arc<Claim>,
    renewer: Option<AbortHandle>,
}

impl QuorumGuard {
    pub(crate) fn new(claim: Arc<Claim>) -> Self {
        let servers = &claim.servers;
        let renewer =
            servers.options.renew.then(|| servers.runtime.spawn(extension::keep(claim.clone())).abort_handle());
        Self { claim, renewer }
    }

    /// How long the lease surely runs unless it is renewed, by this process' clock: less the time it took, 1 % and 2 ms
    /// for drift. Zero once the lock is lost. No round trip.
    #[doc(alias = "validity")]
    pub fn remaining(&self) -> Duration {
        self.claim.standing.remaining()
    }

    /// Whether the lease surely runs, as far as this process knows; [`extend`](Self::extend) asks the servers. No round
    /// trip.
    pub fn is_valid(&self) -> bool {
        self.claim.standing.is_held()
    }

    /// Ends when the lock is lost: an extension finds no majority left, or the lease runs out by the local clock
    /// because the servers were away, or this process slept.
    ///
    /// It never ends for a lock that is released or whose guard is dropped. The future borrows nothing, may move to
    /// another task, and may be dropped. No round trip of its own.
    pub fn lost(&self) -> impl Future<Output = ()> + Send + use<> {
        self.claim.standing.lost(self.claim.servers.runtime.clone())
    }

    /// Sets the lease to the [option's](crate::QuorumOptions::lease) from now, where the lock is still ours.
    ///
    /// All servers are asked, those that did not give us the lock too, and a majority of all decides:
    /// [`Renewal::Renewed`], [`Renewal::Lost`], or [`Renewal::Unknown`] while too many servers fail. Nothing is deleted
    /// whatever the answer, and a later call may well find what this one could not. Once a majority has confirmed the
    /// lock, servers where nobody holds it get it too. What is lost stays lost.
    ///
    /// One round trip to the fastest majority, and [`node_timeout`](crate::QuorumOptions::node_timeout) at most.
    /// Dropping the future does not stop the extension.
    #[doc(alias = "refresh")]
    #[doc(alias = "renew")]
    pub async fn extend(&self) -> Renewal {
        extension::extend(&self.claim).await
    }

    /// Gives the lock back on all servers, and says what a majority of them found.
    ///
    /// [`Release::Released`]: it was ours until now; [`Release::Stolen`]: a majority holds locks of others;
    /// [`Release::AlreadyExpired`]: neither we nor others had a majority. [`LockError::Store`]: too few servers
    /// answered.
    ///
    /// One round trip to the fastest majority, and [`node_timeout`](crate::QuorumOptions::node_timeout) at most.
    /// Servers that fail, and those that still answer the acquisition, release it in the background. Dropping the
    /// future does not stop the release.
    #[doc(alias = "unlock")]
    pub async fn release(self) -> Result<Release, LockError> {
        let released = self.claim.servers.detached(|answer| release::release(self.claim.clone(), answer)).await;
        released.unwrap_or_else(|| Err(runtime_gone("release").into()))
    }
}

impl Drop for QuorumGuard {
    fn drop(&mut self) {
        if let Some(renewer) = &self.renewer {
            renewer.abort();
        }
        self.claim.close();
    }
}

impl fmt::Debug for QuorumGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuorumGuard").field("remaining", &self.remaining()).finish_non_exhaustive()
    }
}
