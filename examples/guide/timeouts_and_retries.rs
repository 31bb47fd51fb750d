//! Time-outs and retries: reads are repeated with backoff and jitter, writes are not, and why.
//!
//! Needs: nothing.
//!
//! It starts a server of its own, to kill it. No answer in time does not mean that nothing happened: the answer may
//! have been lost, or come later. To read again does no harm. To count again counts twice.

use anyhow::Result;
use examples::RedisServer;
use kv_core::{Executed, KvStore, KvStoreExt, Layers, RetryPolicy, SetOptions};
use kv_redis::{RedisOptions, RedisStore};
use redis::{Client, cmd};
use std::{thread, time::Duration};

#[tokio::main]
async fn main() -> Result<()> {
    // The pauses double, up to a cap, and each is drawn between nothing and that: clients that failed together do not
    // return together.
    let policy = RetryPolicy::default()
        .max_attempts(100)
        .base(Duration::from_millis(20))
        .cap(Duration::from_millis(200))
        .deadline(Duration::from_secs(30));
    for attempt in 0..5 {
        let pauses: Vec<_> = (0..4).map(|_| policy.backoff(attempt)).collect();
        println!("after attempt {}: {pauses:.0?}", attempt + 1);
        let longest = Duration::from_millis(20 * (1 << attempt)).min(policy.cap);
        assert!(pauses.iter().all(|pause| *pause <= longest));
    }

    let mut server = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"])?;
    let store =
        RedisStore::connect_with(&server.url(), RedisOptions::default().deadline(Duration::from_millis(200))).await?;
    store.set("guide:price", b"42", SetOptions::default()).await?;
    store.set("guide:orders", b"0", SetOptions::default()).await?;
    let retrying = Layers::new().retry(policy).over(store.clone())?;

    // The server is away for a moment. The read is repeated until it is back, and whoever reads sees nothing but a
    // longer call.
    server.kill()?;
    assert!(store.get("guide:price").await.is_err());
    let read = tokio::spawn({
        let retrying = retrying.clone();
        async move { retrying.get("guide:price").await }
    });
    thread::sleep(Duration::from_millis(300));
    server.restart()?;
    assert_eq!(read.await??.as_deref(), Some(&b"42"[..]));
    println!("the read survived the restart");

    // An ambiguous write: the server stalls for longer than we wait. No answer comes; the order is counted all the
    // same, later.
    server.pause()?;
    // The layer does not repeat it, although it repeats reads: the error goes to whoever knows what an order is.
    let error = retrying.incr_by("guide:orders", 1).await.expect_err("the server stalls");
    println!("INCR: {error}");
    assert_eq!(error.executed(), Executed::Maybe);
    assert!(!error.is_retryable());
    // The naive loop takes the error for a failure, and tries again until it works.
    server.resume()?;
    while store.incr_by("guide:orders", 1).await.is_err() {}
    let counted = store.get("guide:orders").await?;
    println!("one order, repeated until it worked: counted {counted:?} times");
    assert_eq!(counted.as_deref(), Some(&b"2"[..]));

    // What can be repeated is a write that says the same however often it arrives: this order exists, under its own id.
    let order = format!("guide:order:{:032x}", rand::random::<u128>());
    let mut admin = Client::open(server.url())?.get_multiplexed_async_connection().await?;
    let before: usize = cmd("DBSIZE").query_async(&mut admin).await?;
    server.pause()?;
    let error = store.set_px(&order, b"1 kettle", Duration::from_secs(60)).await.expect_err("the server stalls");
    assert_eq!(error.executed(), Executed::Maybe);
    server.resume()?;
    while store.set_px(&order, b"1 kettle", Duration::from_secs(60)).await.is_err() {}
    let after: usize = cmd("DBSIZE").query_async(&mut admin).await?;
    println!("one order under its own id, sent twice: {} order", after - before);
    assert_eq!(after - before, 1);
    Ok(())
}
