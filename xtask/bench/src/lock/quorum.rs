//! A lock that a majority of three servers gives, and nobody else wants. None has a fence.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kv_redis::RedisStore;
use kv_redis::kv_core::KvStore;
use redis::aio::ConnectionManager;
use redis::cmd;
use redis_lock::{QuorumManager, QuorumOptions, Release};

use super::contenders::{Plain, Rslock, release};
use super::way::LEASE_MS;
use crate::load::{ClosedLoop, Operation};
use crate::scenario::{BoxFuture, Contenders};

/// Longer than anybody should wait.
const PATIENCE: Duration = Duration::from_secs(10);

const ONE: &[(&str, u64)] = &[("evalsha", 1), ("set", 1), ("get", 1), ("del", 1)];
const THREE: &[(&str, u64)] = &[("evalsha", 3), ("set", 3), ("get", 3), ("del", 3)];

pub(super) fn contenders(urls: String, tasks: usize) -> BoxFuture<'static, Result<Contenders>> {
    Box::pin(async move {
        let (mut clients, mut connections) = (Vec::new(), Vec::new());
        let mut stores: Vec<Arc<dyn KvStore>> = Vec::new();
        for url in urls.split(',') {
            let client = super::client(url)?;
            connections.push(ConnectionManager::new(client.clone()).await?);
            clients.push(client);
            stores.push(Arc::new(RedisStore::connect(url).await?));
        }
        let ours = QuorumManager::new(stores, QuorumOptions::default())?;
        let rslock = rslock::LockManager::from_clients(clients);
        let one = connections.first().context("no server")?.clone();
        let connections: [_; 3] = connections.try_into().ok().context("three servers are needed")?;
        let floor = |task| Floor { connections: connections.clone(), key: format!("floor:{{task-{task}}}") };
        let ours = |task| Ours { locks: ours.clone(), name: format!("task-{task}") };
        Ok(vec![
            ClosedLoop::boxed("floor: all three at once", THREE, (0..tasks).map(floor).collect()),
            // It goes on with two answers: what the third does may belong to the turn before.
            ClosedLoop::boxed("redis-lock", &[], (0..tasks).map(ours).collect()),
            ClosedLoop::boxed("rslock", THREE, (0..tasks).map(|task| Rslock::new(rslock.clone(), task)).collect()),
            ClosedLoop::boxed("one server", ONE, (0..tasks).map(|task| Plain::new(one.clone(), task)).collect()),
        ])
    })
}

/// The least code over redis-rs; it waits for all, not only for the fastest two.
struct Floor {
    connections: [ConnectionManager; 3],
    key: String,
}

impl Operation for Floor {
    async fn run(&mut self) -> Result<()> {
        let token: [u8; 16] = rand::random();
        let mut set = cmd("SET");
        set.arg(&self.key).arg(&token).arg("NX").arg("PX").arg(LEASE_MS);
        let [one, two, three] = &mut self.connections;
        let taken =
            tokio::join!(set.query_async::<bool>(one), set.query_async::<bool>(two), set.query_async::<bool>(three));
        ensure!(taken.0? && taken.1? && taken.2?, "the lock is held by another");
        tokio::try_join!(
            release(one, &self.key, &token),
            release(two, &self.key, &token),
            release(three, &self.key, &token)
        )?;
        Ok(())
    }
}

struct Ours {
    locks: QuorumManager,
    name: String,
}

impl Operation for Ours {
    async fn run(&mut self) -> Result<()> {
        let guard = self.locks.acquire(&self.name, PATIENCE).await?;
        let released = guard.release().await?;
        ensure!(released == Release::Released, "release finds {released:?}");
        Ok(())
    }
}
