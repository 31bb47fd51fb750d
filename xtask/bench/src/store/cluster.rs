//! Three masters.

use std::sync::Arc;

use anyhow::{Context, Result};
use kv_redis::kv_core::KvStore;
use kv_redis::{RedisOptions, RedisStore};
use redis::cluster::ClusterClient;
use redis::io::tcp::TcpSettings;

use super::Verb;
use super::bare::{Bare, Deadline};
use super::ours::{Ours, fill};
use crate::load::ClosedLoop;
use crate::scenario::{BoxFuture, Contenders};

/// Calls one by one, to keys of all masters.
pub(super) fn calls(url: String, verb: Verb, tasks: usize) -> BoxFuture<'static, Result<Contenders>> {
    Box::pin(async move {
        let deadline = RedisOptions::default().deadline;
        let nodelay = TcpSettings::default().set_nodelay(true);
        let client = ClusterClient::builder(nodes(&url)?).response_timeout(deadline).tcp_settings(nodelay).build()?;
        let peer = client.get_async_connection().await?;
        let store: Arc<dyn KvStore> = Arc::new(RedisStore::connect(&url).await?);
        fill(&*store, tasks).await?;
        let commands = verb.commands();
        let bare = Bare::all(&peer, Deadline::OfConnection, verb, tasks);
        Ok(vec![
            ClosedLoop::boxed("redis-rs ClusterConnection", commands, bare),
            ClosedLoop::boxed("kv-redis", commands, Ours::all(&store, verb, tasks)),
        ])
    })
}

/// `redis://127.0.0.1:PORT` of each node in `redis-cluster://127.0.0.1:PORT?node=127.0.0.1:PORT&…`.
fn nodes(url: &str) -> Result<Vec<String>> {
    let (first, others) = url.split_once("://").and_then(|(_, rest)| rest.split_once('?')).context("not a cluster")?;
    let others = others.split('&').filter_map(|other| other.strip_prefix("node="));
    Ok([first].into_iter().chain(others).map(|node| format!("redis://{node}")).collect())
}

#[cfg(test)]
mod tests {
    #[test]
    fn nodes_are_named_one_by_one() {
        let nodes = super::nodes("redis-cluster://127.0.0.1:1?node=127.0.0.1:2&node=127.0.0.1:3").unwrap();
        assert_eq!(nodes, ["redis://127.0.0.1:1", "redis://127.0.0.1:2", "redis://127.0.0.1:3"]);
    }
}
