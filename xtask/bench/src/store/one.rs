//! One server, one connection.

use std::sync::Arc;

use anyhow::Result;
use kv_redis::kv_core::KvStore;
use kv_redis::{RedisOptions, RedisStore};
use redis::{AsyncConnectionConfig, Client};

use super::bare::{Bare, Batch, Deadline};
use super::fred::Fred;
use super::ours::{Ours, fill};
use super::{MANY, Verb, client};
use crate::load::ClosedLoop;
use crate::scenario::{BoxFuture, Contenders};

/// Calls one by one.
pub(super) fn calls(url: String, verb: Verb, tasks: usize) -> BoxFuture<'static, Result<Contenders>> {
    Box::pin(async move {
        let options = RedisOptions::default();
        let client = client(&url)?;
        let floor = client.get_multiplexed_async_connection_with_config(&same(&options)).await?;
        let defaults = Client::open(&*url)?.get_multiplexed_async_connection().await?;
        let managed = Client::open(&*url)?.get_connection_manager().await?;
        let store: Arc<dyn KvStore> = Arc::new(RedisStore::connect(&url).await?);
        fill(&*store, tasks).await?;
        // A floor that may hang for ever has not the same guarantee.
        let (after, none) = (Deadline::After(options.deadline), Deadline::OfConnection);
        let commands = verb.commands();
        let fred = Fred::all(&url, verb, tasks).await?;
        let mut contenders = vec![
            ClosedLoop::boxed("redis-rs, same settings", commands, Bare::all(&floor, after, verb, tasks)),
            ClosedLoop::boxed("redis-rs, same settings, no deadline", commands, Bare::all(&floor, none, verb, tasks)),
            ClosedLoop::boxed("kv-redis", commands, Ours::all(&store, verb, tasks)),
        ];
        if !matches!(verb, Verb::Mget) {
            contenders.extend([
                ClosedLoop::boxed("redis-rs, defaults", commands, Bare::all(&defaults, none, verb, tasks)),
                ClosedLoop::boxed("ConnectionManager", commands, Bare::all(&managed, none, verb, tasks)),
                ClosedLoop::boxed("fred", commands, fred),
            ]);
        }
        Ok(contenders)
    })
}

/// Many calls at once.
pub(super) fn pipelines(url: String) -> BoxFuture<'static, Result<Contenders>> {
    Box::pin(async move {
        let options = RedisOptions::default();
        let floor = client(&url)?.get_multiplexed_async_connection_with_config(&same(&options)).await?;
        let store = RedisStore::connect(&url).await?;
        fill(&store, 0).await?;
        let gets: &[(&str, u64)] = &[("get", MANY as u64)];
        // Ours has its own.
        let ours = Batch::new(store.connection(), Deadline::OfConnection);
        let (after, none) = (Deadline::After(options.deadline), Deadline::OfConnection);
        Ok(vec![
            ClosedLoop::boxed("redis-rs, same settings", gets, vec![Batch::new(floor.clone(), after)]),
            ClosedLoop::boxed("redis-rs, same settings, no deadline", gets, vec![Batch::new(floor, none)]),
            ClosedLoop::boxed("kv-redis", gets, vec![ours]),
        ])
    })
}

/// The settings of the store's own connection.
fn same(options: &RedisOptions) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_pipeline_buffer_size(options.pipeline_buffer).set_response_timeout(None)
}
