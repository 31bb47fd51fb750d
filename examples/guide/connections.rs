//! One connection for all, or a pool: what a slow command does to each.
//!
//! Needs: a server.
//!
//! A multiplexed connection takes commands from any number of tasks and sends them without waiting for earlier replies,
//! which come in the order of the commands. One does the work of many, and whatever is slow holds up all that comes
//! after it:
//! - what waits on the server (BLPOP, XREAD BLOCK) belongs on a connection of its own;
//! - large replies (megabytes) are what a pool is for;
//! - what keeps the server itself busy (KEYS, a long script) holds up every connection: no pool helps, see `big_keys`.

use anyhow::Result;
use kv_core::{KvStore, KvStoreExt};
use kv_redis::{PoolOptions, RedisOptions, RedisStore};
use redis::{AsyncConnectionConfig, AsyncTypedCommands, Client};
use std::time::{Duration, Instant};
use tokio::join;

#[tokio::main]
async fn main() -> Result<()> {
    let url = examples::redis_url()?;

    // redis-rs, one connection: the PING waits for the BLPOP before it, which finds nothing for 300 ms.
    let patient = AsyncConnectionConfig::new().set_response_timeout(None);
    let shared = Client::open(&*url)?.get_multiplexed_async_connection_with_config(&patient).await?;
    let (mut waiter, mut other) = (shared.clone(), shared);
    let began = Instant::now();
    let (popped, ping) = join!(async { (waiter.blpop("guide:empty", 0.3).await, began.elapsed()) }, async {
        (other.ping().await, began.elapsed())
    },);
    assert_eq!(popped.0?, None);
    ping.0?;
    println!("behind BLPOP, PING takes {:?}", ping.1);
    assert!(ping.1 >= Duration::from_millis(300));

    // Our store refuses such a command on the shared connection, and lends another one for it.
    let store = RedisStore::connect(&url).await?;
    let refused = store.connection().blpop("guide:empty", 0.3).await.expect_err("the connection is shared");
    println!("refused: {refused}");
    let mut own = store.dedicated("guide:empty").await?;
    let began = Instant::now();
    let (popped, ping) = join!(async { (own.blpop("guide:empty", 0.3).await, began.elapsed()) }, async {
        (store.connection().ping().await, began.elapsed())
    },);
    assert_eq!(popped.0?, None);
    ping.0?;
    println!("beside it, PING takes {:?}", ping.1);
    assert!(ping.1 < popped.1);

    // A large reply: 32 MB are read before the small reply that comes after them. On a pool the small one has a
    // connection to itself.
    let options = RedisOptions::default().deadline(Duration::from_secs(30));
    let patience = PoolOptions::default().min(2).acquire_timeout(Duration::from_secs(30));
    let one = RedisStore::connect_with(&url, options.clone()).await?;
    let pool = RedisStore::connect_with(&url, options.pool(patience)).await?;
    one.set_px("guide:large", &vec![0; 32 << 20], Duration::from_secs(60)).await?;
    for (name, store, overtakes) in [("one connection", &one, false), ("a pool", &pool, true)] {
        let began = Instant::now();
        let (large, small) = join!(async { (store.get("guide:large").await, began.elapsed()) }, async {
            (store.get("guide:small").await, began.elapsed())
        },);
        large.0?;
        small.0?;
        println!("{name}: 32 MB in {:?}, the small reply in {:?}", large.1, small.1);
        assert_eq!(small.1 < large.1.mul_f64(0.9), overtakes);
    }
    one.delete(&["guide:large"]).await?;

    // For many small commands one connection is right: they travel together, and the pool's wait for one another.
    let began = Instant::now();
    burst(&one).await?;
    let multiplexed = began.elapsed();
    let began = Instant::now();
    burst(&pool).await?;
    println!("2,000 small reads at once: {multiplexed:?} on one connection, {:?} on a pool of 16", began.elapsed());
    Ok(())
}

/// Two thousand tasks that read a key each.
async fn burst(store: &RedisStore) -> Result<()> {
    let mut reads = tokio::task::JoinSet::new();
    for at in 0..2_000 {
        let store = store.clone();
        reads.spawn(async move { store.get(&format!("guide:none:{at}")).await });
    }
    while let Some(read) = reads.join_next().await {
        read??;
    }
    Ok(())
}
