//! Calls of the store against redis-rs as it is.

mod contenders;

use std::sync::Arc;

use anyhow::Result;
use kv_redis::{RedisOptions, RedisStore};
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo};

use self::contenders::{Bare, Batch, Ours, PIPELINE};
use crate::load::ClosedLoop;
use crate::pin::Placement;
use crate::scenario::{BoxFuture, Contenders, Scenario};

/// What a call costs by itself.
pub(crate) const GET: Scenario = Scenario {
    name: "store-get",
    about: "one task reads 100 bytes",
    pin: Placement::Same,
    crates: CRATES,
    contenders: |url| calls(url, 1),
};

/// What one connection and one core of the client carry.
pub(crate) const GET_64: Scenario = Scenario {
    name: "store-get-64",
    about: "64 tasks read 100 bytes each",
    pin: Placement::Split,
    crates: CRATES,
    contenders: |url| calls(url, 64),
};

/// The same with more calls on their way than redis-rs' buffer holds.
pub(crate) const GET_512: Scenario = Scenario {
    name: "store-get-512",
    about: "512 tasks read 100 bytes each",
    pin: Placement::Split,
    crates: CRATES,
    contenders: |url| calls(url, 512),
};

/// Many commands in one go.
pub(crate) const PIPELINE_100: Scenario = Scenario {
    name: "store-pipeline",
    about: "one task reads 100 values of 100 bytes in one pipeline",
    pin: Placement::Split,
    crates: CRATES,
    contenders: pipelines,
};

const CRATES: &[&str] = &["redis", "tokio", "kv-redis"];

fn calls(url: String, tasks: usize) -> BoxFuture<'static, Result<Contenders>> {
    Box::pin(async move {
        let (client, deadline) = (client(&url)?, RedisOptions::default().deadline);
        let same = AsyncConnectionConfig::new().set_pipeline_buffer_size(RedisOptions::default().pipeline_buffer);
        // A floor that may hang for ever has not the same guarantee.
        let floor = same.clone().set_response_timeout(Some(deadline));
        let floor = client.get_multiplexed_async_connection_with_config(&floor).await?;
        let patient = same.set_response_timeout(None);
        let patient = client.get_multiplexed_async_connection_with_config(&patient).await?;
        let defaults = Client::open(&*url)?.get_multiplexed_async_connection().await?;
        let managed = Client::open(&*url)?.get_connection_manager().await?;
        let store: Arc<dyn kv_redis::kv_core::KvStore> = Arc::new(RedisStore::connect(&url).await?);
        for task in 0..tasks {
            store.set(&contenders::key(task), &[7; 100], Default::default()).await?;
        }
        let get: &[(&str, u64)] = &[("get", 1)];
        Ok(vec![
            ClosedLoop::boxed(
                "redis-rs, same settings",
                get,
                (0..tasks).map(|task| Bare::new(floor.clone(), task)).collect(),
            ),
            ClosedLoop::boxed("… no deadline", get, (0..tasks).map(|task| Bare::new(patient.clone(), task)).collect()),
            ClosedLoop::boxed("kv-redis", get, (0..tasks).map(|task| Ours::new(store.clone(), task)).collect()),
            ClosedLoop::boxed(
                "redis-rs, defaults",
                get,
                (0..tasks).map(|task| Bare::new(defaults.clone(), task)).collect(),
            ),
            ClosedLoop::boxed(
                "ConnectionManager",
                get,
                (0..tasks).map(|task| Bare::new(managed.clone(), task)).collect(),
            ),
        ])
    })
}

fn pipelines(url: String) -> BoxFuture<'static, Result<Contenders>> {
    Box::pin(async move {
        let (client, deadline) = (client(&url)?, RedisOptions::default().deadline);
        let floor = AsyncConnectionConfig::new().set_response_timeout(Some(deadline));
        let floor = client.get_multiplexed_async_connection_with_config(&floor).await?;
        let store = RedisStore::connect(&url).await?;
        let gets: &[(&str, u64)] = &[("get", PIPELINE as u64)];
        let (floor, ours) = (Batch::new(floor).await?, Batch::new(store.connection()).await?);
        Ok(vec![
            ClosedLoop::boxed("redis-rs, same settings", gets, vec![floor]),
            ClosedLoop::boxed("kv-redis", gets, vec![ours]),
        ])
    })
}

/// The same transport for all.
fn client(url: &str) -> Result<Client> {
    let info = url.into_connection_info()?;
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    Ok(Client::open(info.set_tcp_settings(tcp))?)
}
