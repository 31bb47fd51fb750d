use crate::{
    LockError, LockGuard, LockOptions, LockParts, LockState, RwLock, Semaphore,
    backend::Backend,
    cohort::{Cohort, Place, Turn},
    holding::Holding,
    keys::Naming,
    lease::Lease,
    request::{Request, deadline},
    server::{Attempt, Found},
    token::Token,
};
use kv_core::{KvStore, Result};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};

/// Acquires locks on one store. Clones share the store, the tasks that renew and clean up, and their place in line.
#[derive(Clone, Debug)]
#[doc(alias = "Redlock")]
pub struct LockManager {
    backend: Arc<Backend>,
    cohort: Arc<Cohort>,
    naming: Naming,
}

/// What one try to take a lock finds.
#[derive(Debug)]
pub enum TryAcquire {
    /// The lock is ours.
    Acquired(LockGuard),
    /// Somebody else holds it, or is the next to.
    Held {
        /// How long the holder's lease still runs, unless extended; `None` for a holder without a lease.
        remaining: Option<Duration>,
    },
}

impl TryAcquire {
    /// The guard, if the lock is ours.
    pub fn acquired(self) -> Option<LockGuard> {
        match self {
            Self::Acquired(guard) => Some(guard),
            Self::Held { .. } => None,
        }
    }
}

impl LockManager {
    /// A manager on a store that runs scripts.
    ///
    /// Errors: [`InvalidConfig`](kv_core::ErrorKind::InvalidConfig) naming the option, or outside of a tokio
    /// runtime; [`Unsupported`](kv_core::ErrorKind::Unsupported) for a store without scripts. No round trip.
    pub fn new(store: Arc<dyn KvStore>, options: LockOptions) -> Result<Self> {
        options.check()?;
        let naming = Naming::new(&options)?;
        Ok(Self { backend: Arc::new(Backend::new(store, options)?), cohort: Arc::default(), naming })
    }

    /// Takes the lock if nobody holds it or waits for it. One round trip, two where a lease ran out while others waited.
    ///
    /// An error is never "held by another": the store failed. If it may have been executed, or the future is dropped,
    /// a lock that was taken all the same is released in the background, and by its lease at the latest.
    #[doc(alias = "try_lock")]
    #[doc(alias = "obtain")]
    pub async fn try_acquire(&self, name: &str) -> Result<TryAcquire, LockError> {
        let mut request = Request::new(self.backend.clone(), self.naming.keys(name)?, None, None);
        Ok(match request.ask().await? {
            Attempt::Ours(last) => {
                TryAcquire::Acquired(LockGuard::new(request.into_holding(last, None)).replicated().await?)
            }
            Attempt::Held(remaining) => TryAcquire::Held { remaining },
            Attempt::Passed => TryAcquire::Held { remaining: None },
        })
    }

    /// Takes the lock, waiting for it no longer than `wait`; [`LockError::Timeout`] when others keep it that long.
    ///
    /// One round trip when it is free, none when a task of this manager passes it on; whoever waits is served in the order of coming,
    /// tasks of one manager together. A waiter is told when its turn has come, and looks for itself a few times per
    /// [`claim`](LockOptions::claim), so a lost message, a holder that died and a server that was away cost no more than that. A store that
    /// fails ends the first try with its error; later ones are repeated until `wait` is over. Dropping the future gives up the place in
    /// line, and the lock if it has just been granted.
    #[doc(alias = "lock")]
    pub async fn acquire(&self, name: &str, wait: Duration) -> Result<LockGuard, LockError> {
        if wait.is_zero() {
            return self.try_acquire(name).await?.acquired().ok_or(LockError::Timeout);
        }
        let keys = self.naming.keys(name)?;
        let by = deadline(wait);
        let seat = match self.cohort.join(&keys.lock) {
            Place::First(seat) => seat,
            Place::Behind(turn) => match timeout_at(by, turn).await {
                Ok(Ok(Turn::Lead(seat))) => seat,
                Ok(Ok(Turn::LeadOn(request))) => return LockGuard::new(request.wait(by).await?).replicated().await,
                Ok(Ok(Turn::Hold(holding))) => {
                    holding.lease.limit(self.backend.options.max_lease);
                    return Ok(LockGuard::new(*holding));
                }
                Ok(Err(_)) | Err(_) => return Err(LockError::Timeout),
            },
        };
        LockGuard::new(Request::new(self.backend.clone(), keys, Some(seat), None).wait(by).await?).replicated().await
    }

    /// A lock that many may hold to read, or one to write. No round trip; an error for a name that cannot be one.
    pub fn rw_lock(&self, name: &str) -> Result<RwLock> {
        Ok(RwLock::new(self.backend.clone(), self.naming.room(name, "rw")?))
    }

    /// A lock that up to `limit` may hold at a time, 1 to 2^31 - 1. No round trip; an error for such a limit or name.
    #[doc(alias = "permits")]
    pub fn semaphore(&self, name: &str, limit: u32) -> Result<Semaphore> {
        Semaphore::new(self.backend.clone(), self.naming.room(name, "semaphore")?, limit)
    }

    /// Goes on with a lock that was acquired elsewhere, and sets its lease anew; [`LockError::Lost`] if it is not held by these parts. One round trip.
    pub async fn from_parts(&self, name: &str, parts: LockParts) -> Result<LockGuard, LockError> {
        let keys = self.naming.keys(name)?;
        let (sent, options) = (Instant::now(), &self.backend.options);
        match self.backend.server.extend(keys.kind, &keys.lock, &parts.token, options.lease).await? {
            Found::Nobody | Found::Another => Err(LockError::Lost),
            Found::Ours => {
                let renewal = options.renew.then_some(options.lease);
                let lease = Lease::new(keys, Token::from_parts(parts.token), sent, options.lease, renewal);
                let holding = Holding::new(self.backend.clone(), lease, None, 0..0);
                Ok(LockGuard::with_fence(holding, parts.fencing_token))
            }
        }
    }

    /// Says who holds the lock, for how long, and how many wait. One round trip; changes nothing.
    pub async fn inspect(&self, name: &str) -> Result<LockState, LockError> {
        Ok(LockState::parse(&self.backend.server.inspect(&self.naming.keys(name)?).await?)?)
    }

    /// Takes the lock from whoever holds it, who is told no sooner than by the next renewal, and hands it to the first who waits; says
    /// whether anybody held it. One round trip.
    ///
    /// Fencing tokens go on growing: a guarded resource that compares them refuses the former holder as soon as the next one has come.
    pub async fn force_unlock(&self, name: &str) -> Result<bool, LockError> {
        let found = self.backend.server.release(&self.naming.keys(name)?, "", "").await?;
        Ok(found != Found::Nobody)
    }
}

impl LockManager {
    pub(crate) fn backend(&self) -> &Arc<Backend> {
        &self.backend
    }

    pub(crate) fn naming(&self) -> &Naming {
        &self.naming
    }
}
