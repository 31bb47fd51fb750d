//! Cluster: hash tags, batches over several nodes, and reads from replicas.
//!
//! Needs: a cluster.
//!
//! A cluster divides all keys into 16,384 slots by a hash of the key, and the slots among its masters. A command goes
//! to the master of its slot; if there are several keys they have to share one. Of a key with a part in braces only
//! that is hashed: `guide:{ada}:basket` and `guide:{ada}:count` are together, wherever that is.

use anyhow::{Result, ensure};
use kv_core::KvStore;
use kv_redis::{ReadFrom, RedisOptions, RedisStore};
use redis::{AsyncTypedCommands, Client, Script, cmd};
use std::time::{Duration, Instant};
use tokio::time::sleep;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let url = examples::redis_url()?;
    let store = RedisStore::connect(&url).await?;
    let mut redis = store.connection();
    store.delete(&["guide:{ada}:basket", "guide:{ada}:count"]).await?;

    // Apart, the two keys are in different slots, and a script that takes both is refused. Together it runs where they
    // are.
    let buy = Script::new("return redis.call('SADD', KEYS[1], 'kettle') + redis.call('INCR', KEYS[2])");
    let apart = buy.key("guide:ada:basket").key("guide:ada:count").invoke_async::<i64>(&mut redis).await;
    println!("apart: {}", apart.expect_err("they are in two slots"));
    let together: i64 = buy.key("guide:{ada}:basket").key("guide:{ada}:count").invoke_async(&mut redis).await?;
    assert_eq!(together, 2);
    // The tag has a price: all with one tag is on one master. A user or an order is a good tag; the name of the service
    // is none.
    let slots = ["guide:{ada}:basket", "guide:{ada}:count", "ada"];
    for key in slots {
        let slot: u16 = cmd("CLUSTER").arg("KEYSLOT").arg(key).query_async(&mut redis).await?;
        println!("{key:<20}slot {slot}");
    }

    // A batch over several slots is split, one for each node and all at the same time: fast, and not atomic.
    let users: Vec<String> = (0..100).map(|user| format!("guide:user:{user}")).collect();
    let keys: Vec<&str> = users.iter().map(String::as_str).collect();
    let entries: Vec<(&str, &[u8])> = keys.iter().map(|key| (*key, &b"here"[..])).collect();
    store.mset(&entries, Some(Duration::from_secs(60))).await?;
    assert!(store.mget(&keys).await?.iter().all(Option::is_some));

    // Replicas take the reads from the masters. What they know may be old: a value that was just written, or that was
    // just deleted, so this is for what may be stale, a product page and not a balance. We wait until they have caught
    // up.
    let reader = RedisStore::connect_with(&url, RedisOptions::default().read_from(ReadFrom::Replicas)).await?;
    let started = Instant::now();
    for key in &keys {
        while reader.get(key).await?.is_none() {
            ensure!(started.elapsed() < Duration::from_secs(30), "the replicas do not catch up");
            sleep(Duration::from_millis(5)).await;
        }
    }
    let before = reads(&mut redis).await?;
    for key in &keys {
        assert!(reader.get(key).await?.is_some());
    }
    let after = reads(&mut redis).await?;
    let (masters, replicas) = (after.0 - before.0, after.1 - before.1);
    println!("of {} reads the masters served {masters}, the replicas {replicas}", keys.len());
    assert_eq!((masters, replicas), (0, keys.len()));

    store.delete(&keys).await?;
    store.delete(&["guide:{ada}:basket", "guide:{ada}:count"]).await?;
    Ok(())
}

/// How many GETs the masters and the replicas have served, as each node says of itself.
async fn reads(redis: &mut kv_redis::Connection) -> Result<(usize, usize)> {
    let nodes: String = cmd("CLUSTER").arg("NODES").query_async(redis).await?;
    let (mut masters, mut replicas) = (0, 0);
    // A line for each node: id, address@bus, flags, ...
    for node in nodes.lines().map(|line| line.split(' ').collect::<Vec<_>>()) {
        let address = node[1].split('@').next().unwrap_or_default();
        let mut own = Client::open(format!("redis://{address}"))?.get_multiplexed_async_connection().await?;
        let stats: String = cmd("INFO").arg("commandstats").query_async(&mut own).await?;
        let gets = stats.lines().find_map(|line| line.strip_prefix("cmdstat_get:calls=")?.split(',').next());
        let gets: usize = gets.unwrap_or("0").parse()?;
        assert_eq!(own.ping().await?, "PONG");
        *(if node[2].contains("master") { &mut masters } else { &mut replicas }) += gets;
    }
    Ok((masters, replicas))
}
