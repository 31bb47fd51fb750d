use crate::{LockError, LockGuard, LockOptions, backend::Backend, guard::Holding, script::ACQUIRE};
use kv_core::{Arg, Executed, Keyspace, KvStore, Limits, Result};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

/// Acquires locks on one store. Clones share the store and the task that cleans up.
#[derive(Clone, Debug)]
#[doc(alias = "Redlock")]
pub struct LockManager {
    backend: Arc<Backend>,
    keys: Keyspace,
    options: LockOptions,
}

/// What one try to take a lock finds.
#[derive(Debug)]
pub enum TryAcquire {
    /// The lock is ours.
    Acquired(LockGuard),
    /// Somebody else holds it.
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
        let keys = Keyspace::new(&options.prefix)?;
        Ok(Self { backend: Arc::new(Backend::new(store)?), keys, options })
    }

    /// Takes the lock if nobody holds it. One round trip.
    ///
    /// An error is never "held by another": the store failed. If it may have been executed, or the future is dropped,
    /// a lock that was taken all the same is released in the background, and by its lease at the latest.
    #[doc(alias = "try_lock")]
    #[doc(alias = "obtain")]
    pub async fn try_acquire(&self, name: &str) -> Result<TryAcquire, LockError> {
        let key = self.keys.key(name, "")?;
        let fence = self.keys.key(name, "fence")?;
        let lease = Limits::ttl_millis("acquire", self.options.lease)?;
        let token = format!("{:032x}", rand::random::<u128>());
        // From here on the lock may be ours: whatever ends this call without a verdict leaves it to the reaper.
        let mut holding = Holding::new(self.backend.clone(), key, token, self.options.lease);
        let args = [holding.token().into(), Arg::Int(lease)];
        match self.backend.run(&ACQUIRE, &[holding.key(), &fence], &args).await {
            Ok(fencing_token) if fencing_token > 0 => {
                Ok(TryAcquire::Acquired(LockGuard::new(holding, fencing_token as u64)))
            }
            Ok(held) => {
                holding.forget();
                let remaining = (held < 0).then(|| Duration::from_millis(held.saturating_neg() as u64 - 1));
                Ok(TryAcquire::Held { remaining })
            }
            Err(error) => {
                if error.executed() == Executed::No {
                    holding.forget();
                }
                Err(error.into())
            }
        }
    }

    /// Takes the lock, waiting for it no longer than `wait`; [`LockError::Timeout`] when somebody else keeps it that long.
    ///
    /// One round trip when it is free. A waiter tries again after a random pause that doubles from
    /// [`retry_min`](LockOptions::retry_min) to [`retry_max`](LockOptions::retry_max), and as soon as the holder's lease
    /// ends. Waiters are not served in order. A failing store ends the wait with its error. Dropping the future
    /// gives up the wait and whatever it may have taken.
    #[doc(alias = "lock")]
    pub async fn acquire(&self, name: &str, wait: Duration) -> Result<LockGuard, LockError> {
        let started = Instant::now();
        let options = &self.options;
        let mut pause = options.retry_min;
        loop {
            let remaining = match self.try_acquire(name).await? {
                TryAcquire::Acquired(guard) => return Ok(guard),
                TryAcquire::Held { remaining } => remaining.unwrap_or(options.retry_max),
            };
            let left = wait.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Err(LockError::Timeout);
            }
            // Redis keeps a key through the millisecond it expires in.
            let expired = remaining.saturating_add(Duration::from_millis(1));
            sleep(pause.mul_f64(rand::random()).max(Duration::from_millis(1)).min(expired).min(left)).await;
            pause = pause.saturating_mul(2).min(options.retry_max);
        }
    }
}
