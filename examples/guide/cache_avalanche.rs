//! Avalanche: what was stored together expires together, and Redis is away.
//!
//! Needs: nothing.
//!
//! It starts a server of its own, to kill it. A cache that is warmed in the morning is cold again at one moment later;
//! one whose server has gone is cold for everything at once. Both send to the database what it has not been built for.

use anyhow::{Result, ensure};
use examples::{RedisServer, SlowDatabase};
use kv_redis::RedisStore;
use redis::{AsyncTypedCommands, Client, IntegerReplyOrNoOp::IntegerReply, aio::MultiplexedConnection, pipe};
use redis_cache::{Cache, CacheOptions};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const TTL: Duration = Duration::from_secs(600);
const PRODUCTS: std::ops::Range<usize> = 100..200;

#[tokio::main]
async fn main() -> Result<()> {
    let mut server = RedisServer::start(&[])?;
    let mut redis = Client::open(server.url())?.get_multiplexed_async_connection().await?;
    let options = CacheOptions::default()
        .prefix("guide")
        .ttl(TTL)
        // Each TTL is shorter by a random share of up to a tenth; never longer, so that nothing is served for longer
        // than was said.
        .ttl_jitter(0.1)
        // However many different things are missing at once, no more than this many loads run in a process. The others
        // wait their turn.
        .max_loads(8);
    let cache = Cache::<String>::new(Arc::new(RedisStore::connect(&server.url()).await?), options)?;

    // A hundred products, stored in the morning.
    let mut fill = pipe();
    for id in PRODUCTS {
        fill.set_ex(format!("guide:product:{id}"), format!("product {id}"), TTL.as_secs()).ignore();
    }
    fill.exec_async(&mut redis).await?;
    for id in PRODUCTS {
        cache.insert(&id.to_string(), Some(&format!("product {id}"))).await?;
    }
    let without = spread(&mut redis, |id| format!("guide:product:{id}")).await?;
    let with = spread(&mut redis, |id| format!("guide:{{{id}}}")).await?;
    println!("{} values expire within {without:.1?} without the guard, within {with:.1?} with it", PRODUCTS.len());
    assert!(without < TTL / 40 && with > TTL / 40);

    // All of it gone at once: the server is killed, and a hundred clients want a hundred things.
    server.kill()?;
    let database = SlowDatabase::default();
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for id in PRODUCTS {
        let (cache, database) = (cache.clone(), database.clone());
        clients.spawn(async move { cache.get_or_load(&id.to_string(), || database.load(&id.to_string())).await });
    }
    while let Some(client) = clients.join_next().await {
        ensure!(client??.is_some(), "the database has it");
    }
    let took = began.elapsed();
    println!(
        "without Redis: {} loads, eight at a time, in {took:.1?}; all at once they would take 50 ms",
        database.loads()
    );
    // Twelve or thirteen rounds of 50 ms. The database sees a queue instead of a crowd, and every client gets its
    // answer.
    assert!(took >= Duration::from_millis(50) * (PRODUCTS.len() / 8) as u32);
    Ok(())
}

/// Between the first and the last expiry.
async fn spread(redis: &mut MultiplexedConnection, key: impl Fn(usize) -> String) -> Result<Duration> {
    let mut left = Vec::new();
    for id in PRODUCTS {
        let IntegerReply(millis) = redis.pttl(key(id)).await? else { panic!("a value without an expiry") };
        left.push(millis as u64);
    }
    left.sort_unstable();
    Ok(Duration::from_millis(left[left.len() - 1] - left[0]))
}
