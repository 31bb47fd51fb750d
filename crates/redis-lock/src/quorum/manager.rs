use super::{
    attempt::{attempt, runtime_gone},
    claim::Claim,
    guard::QuorumGuard,
    options::QuorumOptions,
    servers::Servers,
};
use crate::LockError;
use kv_core::{Error, KvStore, Limits, Result};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

/// Acquires locks on a majority of independent servers, so that some may fail: the Redlock algorithm
/// (<https://redis.io/docs/latest/develop/use/patterns/distributed-locks/>).
///
/// Independent means that no server replicates another. A server that restarts without the locks it gave must stay away
/// for the longest lease, or two can hold a lock. A majority of n servers is n / 2 + 1: an even number survives no more
/// failures than the odd one below it. Clones share the servers and the tasks that clean up.
///
/// Guards have no fencing token: [`QuorumGuard`] says why.
///
/// ```
/// use redis_lock::kv_core::{KvStore, MemoryStore}; // or a RedisStore of kv_redis for each server
/// use redis_lock::{QuorumManager, QuorumOptions, Release};
/// use std::{sync::Arc, time::Duration};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), redis_lock::LockError> {
/// let servers = (0..3).map(|_| Arc::new(MemoryStore::new()) as Arc<dyn KvStore>).collect();
/// let locks = QuorumManager::new(servers, QuorumOptions::default())?;
///
/// let guard = locks.acquire("invoice:42", Duration::from_secs(5)).await?;
/// assert!(locks.try_acquire("invoice:42").await?.acquired().is_none());
/// assert_eq!(guard.release().await?, Release::Released);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[doc(alias = "Redlock")]
pub struct QuorumManager {
    servers: Arc<Servers>,
}

/// What one try to take a lock finds.
#[derive(Debug)]
pub enum QuorumAcquire {
    /// A majority of the servers has given us the lock.
    Acquired(QuorumGuard),
    /// So many servers say that others hold it that no majority is left. For how long is not known.
    Held,
}

impl QuorumAcquire {
    /// The guard, if the lock is ours.
    pub fn acquired(self) -> Option<QuorumGuard> {
        match self {
            Self::Acquired(guard) => Some(guard),
            Self::Held => None,
        }
    }
}

impl QuorumManager {
    /// A manager on one store for each server, at least one, all of which run scripts.
    ///
    /// Errors: [`InvalidConfig`](kv_core::ErrorKind::InvalidConfig) naming the option, without stores, with the same
    /// one twice, or outside of a tokio runtime; [`Unsupported`](kv_core::ErrorKind::Unsupported) for a store without
    /// scripts. No round trip: servers may be down.
    pub fn new(stores: Vec<Arc<dyn KvStore>>, options: QuorumOptions) -> Result<Self> {
        Ok(Self { servers: Arc::new(Servers::new(stores, options)?) })
    }

    /// Takes the lock if a majority of the servers gives it.
    ///
    /// All servers are asked at once and the earliest decisive vote decides, so that a server that hangs costs nothing
    /// while the others agree. An error is never "held by another": it is [`LockError::Store`], and says that too few
    /// servers answered, or that they took so long that less than [`min_validity`](QuorumOptions::min_validity) of the
    /// lease is left.
    ///
    /// One round trip to the fastest majority, and [`node_timeout`](QuorumOptions::node_timeout) at most. If it fails,
    /// or the future is dropped, every server that gave the lock, may have, or does later, releases it in the
    /// background: as soon as it answers, and by the end of the lease on it at the latest.
    #[doc(alias = "try_lock")]
    #[doc(alias = "obtain")]
    pub async fn try_acquire(&self, name: &str) -> Result<QuorumAcquire, LockError> {
        if name.is_empty() {
            return Err(Error::invalid_input("acquire", "name must not be empty").into());
        }
        let key = format!("{}{name}", self.servers.options.key_prefix);
        Limits::default().check_key("acquire", &key)?;
        let claim = Arc::new(Claim::new(self.servers.clone(), key));
        let tried = self.servers.detached(|answer| attempt(claim, answer)).await;
        tried.unwrap_or_else(|| Err(runtime_gone("acquire").into()))
    }

    /// Takes the lock, waiting for it no longer than `wait` and the last try; [`LockError::Timeout`] when others keep
    /// it that long.
    ///
    /// One round trip when it is free. A waiter tries again after a random pause, of which the longest doubles from
    /// [`retry_min`](QuorumOptions::retry_min) to [`retry_max`](QuorumOptions::retry_max), so that waiters who split
    /// the votes part. Waiters are not served in order. Temporary failures are waited out too, and what failed last is
    /// the error if the wait ends with a failure; others end the wait. Dropping the future gives up the wait and
    /// whatever it may have taken.
    #[doc(alias = "lock")]
    pub async fn acquire(&self, name: &str, wait: Duration) -> Result<QuorumGuard, LockError> {
        let started = Instant::now();
        let options = &self.servers.options;
        let mut pause = options.retry_min;
        loop {
            let error = match self.try_acquire(name).await {
                Ok(QuorumAcquire::Acquired(guard)) => return Ok(guard),
                Ok(QuorumAcquire::Held) => LockError::Timeout,
                Err(error) if error.is_temporary() => error,
                Err(error) => return Err(error),
            };
            let left = wait.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Err(error);
            }
            let pausing = {
                // The timer runs there, wherever this is polled.
                let _runtime = self.servers.runtime.enter();
                sleep(pause.mul_f64(rand::random()).max(Duration::from_millis(1)).min(left))
            };
            pausing.await;
            pause = pause.saturating_mul(2).min(options.retry_max);
        }
    }
}
