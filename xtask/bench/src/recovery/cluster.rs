//! A master, killed in a cluster.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use kv_redis::kv_core::KvStore;
use kv_redis::{RedisOptions, RedisStore};
use redis::cluster::ClusterClient;
use redis::cmd;
use xtask::fixture::Cluster;
use xtask::resp::Reply;

use super::{first_success, runtime};
use crate::timing::Round;

const KEY: &str = "back";

pub(super) fn start() -> Result<Round> {
    let (runtime, cluster) = (runtime()?, Cluster::start()?);
    let store = runtime.block_on(RedisStore::connect(&cluster.url()))?;
    let deadline = RedisOptions::default().deadline;
    let peer = ClusterClient::builder(cluster.urls()).response_timeout(deadline).build()?;
    let peer = runtime.block_on(peer.get_async_connection())?;
    let Reply::Integer(slot) = cluster.nodes()[0].call(&["CLUSTER", "KEYSLOT", KEY])? else { bail!("no slot") };
    let slot = u16::try_from(slot).context("no slot")?;
    Ok(Box::new(move || {
        let old = cluster.owner_of(slot)?;
        cluster.nodes()[old].kill()?;
        let killed = Instant::now();
        let store = store.clone();
        let ours = first_success(&runtime, move || {
            let store = store.clone();
            async move { store.set(KEY, b"1", Default::default()).await }
        });
        let peer = peer.clone();
        let theirs = first_success(&runtime, move || {
            let mut peer = peer.clone();
            async move { cmd("SET").arg(KEY).arg("1").exec_async(&mut peer).await }
        });
        // Returns when all nodes agree that somebody else owns the slots.
        cluster.wait_ok()?;
        let well = Instant::now();
        let (ours, theirs) = (runtime.block_on(ours)??, runtime.block_on(theirs)??);
        cluster.nodes()[old].restart()?;
        cluster.wait_ok()?;
        Ok(vec![
            ("kv-redis, from the kill", ours - killed),
            ("kv-redis, from the cluster being well", ours.saturating_duration_since(well)),
            ("redis-rs ClusterConnection, from the kill", theirs - killed),
            ("redis-rs ClusterConnection, from the cluster being well", theirs.saturating_duration_since(well)),
            ("the cluster is well, from the kill", well - killed),
        ])
    }))
}
