//! Connections that one call has to itself.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use bb8_redis::{RedisConnectionManager, bb8};
use bytes::Bytes;
use deadpool_redis::{Config, Runtime};
use kv_redis::kv_core::KvStore;
use kv_redis::{PoolOptions, RedisOptions, RedisStore};
use redis::cmd;
use tokio::time::timeout;

use super::ours::{Ours, fill};
use super::{VALUE, Verb, key};
use crate::load::{ClosedLoop, Operation};
use crate::scenario::{BoxFuture, Contenders};

const SIZE: usize = 16;

/// Calls one by one, over pools of the same size.
pub(super) fn calls(url: String, tasks: usize) -> BoxFuture<'static, Result<Contenders>> {
    Box::pin(async move {
        let sized = PoolOptions::default().min(SIZE).max(SIZE);
        let options = RedisOptions::default().pool(sized);
        let deadline = options.deadline;
        let store: Arc<dyn KvStore> = Arc::new(RedisStore::connect_with(&url, options).await?);
        fill(&*store, tasks).await?;
        let deadpool = Config::from_url(&*url).builder()?.max_size(SIZE).runtime(Runtime::Tokio1).build()?;
        let bb8 = bb8::Pool::builder().max_size(SIZE as u32).build(RedisConnectionManager::new(&*url)?).await?;
        let deadpool = |task| Deadpool { pool: deadpool.clone(), deadline, key: key(task) };
        let bb8 = |task| Bb8 { pool: bb8.clone(), deadline, key: key(task) };
        let (ping_and_get, get): (&[_], &[_]) = (&[("ping", 1), ("get", 1)], &[("get", 1)]);
        Ok(vec![
            ClosedLoop::boxed("deadpool-redis", get, (0..tasks).map(deadpool).collect()),
            ClosedLoop::boxed("bb8-redis", ping_and_get, (0..tasks).map(bb8).collect()),
            ClosedLoop::boxed("kv-redis", get, Ours::all(&store, Verb::Get, tasks)),
        ])
    })
}

/// As it comes, within a deadline.
struct Deadpool {
    pool: deadpool_redis::Pool,
    deadline: Duration,
    key: String,
}

impl Operation for Deadpool {
    async fn run(&mut self) -> Result<()> {
        let call = async {
            let mut connection = self.pool.get().await?;
            anyhow::Ok(cmd("GET").arg(&self.key).query_async(&mut connection).await?)
        };
        check(timeout(self.deadline, call).await??)
    }
}

/// As it comes, within a deadline: it pings a connection before it lends it.
struct Bb8 {
    pool: bb8::Pool<RedisConnectionManager>,
    deadline: Duration,
    key: String,
}

impl Operation for Bb8 {
    async fn run(&mut self) -> Result<()> {
        let call = async {
            let mut connection = self.pool.get().await?;
            anyhow::Ok(cmd("GET").arg(&self.key).query_async(&mut *connection).await?)
        };
        check(timeout(self.deadline, call).await??)
    }
}

fn check(value: Option<Bytes>) -> Result<()> {
    ensure!(value.is_some_and(|value| value.len() == VALUE.len()), "another value");
    Ok(())
}
