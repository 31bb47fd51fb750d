//! A lock that several want: how to get it, and how to give it back.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use kv_redis::RedisStore;
use redis_lock::{LockGuard, LockManager, LockOptions, Release};

/// Longer than anybody should wait.
const PATIENCE: Duration = Duration::from_secs(60);
/// What all of them take the lock for.
pub(super) const LEASE: Duration = Duration::from_secs(10);
pub(super) const LEASE_MS: u64 = LEASE.as_millis() as u64;

/// One who wants the lock, again and again.
pub(super) trait Way: Send + 'static {
    type Held: Send;

    fn acquire(&mut self) -> impl Future<Output = Result<Self::Held>> + Send;

    /// Zero for a lock without fence.
    fn fence(held: &Self::Held) -> u64;

    fn release(&mut self, held: Self::Held) -> impl Future<Output = Result<()>> + Send;
}

/// redis-lock: through a manager of its own, or one that tasks share.
pub(super) struct Ours(LockManager);

impl Ours {
    /// A manager each: none passes the lock on without the server.
    pub(super) fn apart(store: &RedisStore, count: usize) -> Result<Vec<Self>> {
        (0..count).map(|_| Ok(Self(manager(store)?))).collect()
    }

    pub(super) fn together(store: &RedisStore, count: usize) -> Result<Vec<Self>> {
        let shared = manager(store)?;
        Ok((0..count).map(|_| Self(shared.clone())).collect())
    }
}

fn manager(store: &RedisStore) -> Result<LockManager> {
    Ok(LockManager::new(Arc::new(store.clone()), LockOptions::default().lease(LEASE))?)
}

impl Way for Ours {
    type Held = LockGuard;

    async fn acquire(&mut self) -> Result<LockGuard> {
        Ok(self.0.acquire("wanted", PATIENCE).await?)
    }

    fn fence(held: &LockGuard) -> u64 {
        held.fencing_token()
    }

    async fn release(&mut self, held: LockGuard) -> Result<()> {
        let released = held.release().await?;
        ensure!(released == Release::Released, "release finds {released:?}");
        Ok(())
    }
}

/// rslock, which asks until it gets it.
pub(super) struct Rslock(rslock::LockManager);

impl Rslock {
    /// With the pauses of its own choice, up to 200 ms, unless told otherwise.
    pub(super) fn all(url: &str, count: usize, pause: Option<Duration>) -> Result<Vec<Self>> {
        let mut shared = rslock::LockManager::from_clients(vec![super::client(url)?]);
        if let Some(pause) = pause {
            shared.set_retry(3, pause);
        }
        Ok((0..count).map(|_| Self(shared.clone())).collect())
    }
}

impl Way for Rslock {
    type Held = rslock::LockGuard;

    async fn acquire(&mut self) -> Result<rslock::LockGuard> {
        Ok(self.0.acquire("rslock:wanted", LEASE).await?)
    }

    fn fence(_: &rslock::LockGuard) -> u64 {
        0
    }

    async fn release(&mut self, held: rslock::LockGuard) -> Result<()> {
        held.release().await;
        Ok(())
    }
}
