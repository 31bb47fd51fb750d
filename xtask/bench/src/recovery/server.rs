//! One server, killed and started again.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use kv_redis::RedisStore;
use kv_redis::kv_core::KvStore;
use redis::{Client, cmd};
use xtask::fixture::Server;

use super::{first_success, runtime, since};
use crate::timing::Round;

/// Long enough for every backoff to be long.
const DOWN: Duration = Duration::from_secs(2);

pub(super) fn start() -> Result<Round> {
    let (runtime, server) = (runtime()?, Server::start()?);
    let store = runtime.block_on(RedisStore::connect(&server.url()))?;
    let managed = runtime.block_on(Client::open(server.url())?.get_connection_manager())?;
    Ok(Box::new(move || {
        server.kill()?;
        let store = store.clone();
        let ours = first_success(&runtime, move || {
            let store = store.clone();
            async move { store.set("back", b"1", Default::default()).await }
        });
        let managed = managed.clone();
        let peer = first_success(&runtime, move || {
            let mut managed = managed.clone();
            async move { cmd("SET").arg("back").arg("1").exec_async(&mut managed).await }
        });
        thread::sleep(DOWN);
        server.restart().context("restart")?;
        let answers = Instant::now();
        Ok(vec![
            ("kv-redis", since(answers, &runtime, ours)?),
            ("redis-rs ConnectionManager", since(answers, &runtime, peer)?),
        ])
    }))
}
