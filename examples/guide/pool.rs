//! The size of a pool: min 1, max 16, and the waiting one can see.
//!
//! Needs: a server.
//!
//! A pool lends a connection for one call at a time. It opens more as calls ask for them, up to `max`; beyond that
//! calls queue, first come, first served, for at most `acquire_timeout`. The right size is the number of calls that are
//! in Redis at the same moment: calls per second times the seconds of one (Little's law). A thousand calls a second of
//! 2 ms are two connections; the rest is for peaks.

use anyhow::Result;
use kv_core::{Executed, KvStore, KvStoreExt};
use kv_redis::{PoolOptions, RedisOptions, RedisStore};
use redis::{Client, cmd};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const CALLERS: usize = 16;

#[tokio::main]
async fn main() -> Result<()> {
    let url = examples::redis_url()?;
    let patient = PoolOptions::default().acquire_timeout(Duration::from_secs(20));
    let options = RedisOptions::default().deadline(Duration::from_secs(20));

    // Sixteen callers at once, each with ten values of 256 kB to read.
    println!("{:>4} {:>8} {:>8} {:>12} {:>12}", "max", "opened", "waited", "median", "slowest");
    let mut waited = Vec::new();
    for max in [1, 4, 16] {
        let store = RedisStore::connect_with(&url, options.clone().pool(patient.min(1).max(max))).await?;
        assert_eq!(store.stats().connected, 1, "min is opened at once, the rest when somebody asks");
        store.set_px("guide:value", &vec![7; 256 << 10], Duration::from_secs(60)).await?;
        let mut times = drive(&store).await?;
        times.sort();
        let stats = store.stats();
        let (median, slowest) = (times[times.len() / 2], times[times.len() - 1]);
        println!("{max:>4} {:>8} {:>8} {median:>12.2?} {slowest:>12.2?}", stats.connected, stats.waited);
        assert!(stats.connected <= max as u64);
        assert_eq!(stats.wait_failed, 0);
        waited.push(stats.waited);
    }
    // With one connection nearly every call stands in a queue; with as many connections as callers none does.
    assert!(waited[0] > waited[2]);
    assert_eq!(waited[2], 0);

    // Waiting has an end, and the error says that the call was never sent. CLIENT PAUSE makes the server slow, for a
    // second.
    let tight = PoolOptions::default().max(1).acquire_timeout(Duration::from_millis(50));
    let store = RedisStore::connect_with(&url, options.pool(tight)).await?;
    let mut admin = Client::open(&*url)?.get_multiplexed_async_connection().await?;
    cmd("CLIENT").arg("PAUSE").arg(1_000).exec_async(&mut admin).await?;
    let (first, second) = tokio::join!(store.incr_by("guide:calls", 1), store.incr_by("guide:calls", 1));
    let outcomes = [first, second];
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for error in outcomes.into_iter().filter_map(Result::err) {
        println!("the second call: {error}");
        assert_eq!(error.executed(), Executed::No);
        assert!(error.is_retryable());
    }
    assert_eq!(store.stats().wait_failed, 1);

    store.delete(&["guide:value", "guide:calls"]).await?;
    Ok(())
}

/// How long each call took, its place in the queue included.
async fn drive(store: &RedisStore) -> Result<Vec<Duration>> {
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let store = store.clone();
        callers.spawn(async move {
            let mut times = Vec::new();
            for _ in 0..10 {
                let began = Instant::now();
                store.get("guide:value").await?;
                times.push(began.elapsed());
            }
            anyhow::Ok(times)
        });
    }
    let mut times = Vec::new();
    while let Some(caller) = callers.join_next().await {
        times.extend(caller??);
    }
    Ok(times)
}
