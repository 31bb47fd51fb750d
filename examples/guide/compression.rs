//! Compression: what it saves, what it costs, and when to leave it.
//!
//! Needs: a server.
//!
//! Memory is what Redis costs, and JSON is mostly repetition. A layer around the store compresses what is written and
//! decompresses what is read, so that nobody else has to know. It is a bad bargain for small values, for what is
//! compressed already, and for what other programs read.

use anyhow::Result;
use flate2::{Compression, write::GzEncoder};
use kv_core::{KvStore, SetOptions};
use kv_redis::RedisStore;
use redis::{AsyncTypedCommands, cmd};
use redis_compress::{CompressOptions, Compressed};
use serde_json::json;
use std::io::Write;
use std::time::Instant;

const KEY: &str = "guide:value";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let redis = RedisStore::connect(&examples::redis_url()?).await?;
    let store = Compressed::new(redis.clone(), CompressOptions::default())?;

    // Two hundred orders, as an interface would send them; a small value; and noise, as a picture is to a compressor.
    let order = |id: u32| {
        let customer = format!("customer-{}", id * 7919 % 997);
        json!({"id": id, "customer": customer, "state": "delivered", "items": [{"sku": "kettle", "count": 1}]})
    };
    let orders: Vec<_> = (0..200).map(order).collect();
    let orders = serde_json::to_vec(&orders)?;
    let noise: Vec<u8> = std::iter::repeat_with(rand::random).take(20_000).collect();
    println!("{:<10}{:>10}{:>14}{:>14}{:>12}{:>12}", "", "bytes", "bare", "compressed", "set", "get");
    let mut saved = Vec::new();
    for (name, value) in [("orders", &orders[..]), ("small", b"{\"id\":42}"), ("noise", &noise)] {
        let bare = memory(&redis, &redis, value).await?;
        let began = Instant::now();
        let compressed = memory(&redis, &store, value).await?;
        let set = began.elapsed();
        let began = Instant::now();
        assert_eq!(store.get(KEY).await?.as_deref(), Some(value), "it comes back as it was");
        let get = began.elapsed();
        println!("{name:<10}{:>10}{bare:>14}{compressed:>14}{set:>12.1?}{get:>12.1?}", value.len());
        saved.push((bare, compressed));
    }
    // JSON to a quarter at most. What is below the threshold, or saves less than a tenth, is stored as it is, and costs
    // nothing to read.
    assert!(saved[0].1 * 4 < saved[0].0);
    assert_eq!(saved[1].0, saved[1].1);
    assert_eq!(saved[2].0, saved[2].1);

    // Compressed regardless, a small value grows: gzip has a header and a trailer of 18 bytes.
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(b"{\"id\":42}")?;
    let small = gzip.finish()?.len();
    println!("gzip makes {small} bytes of 9");
    assert!(small > 9);

    // What was written before there was a layer is read as it is, so it can be added to a service that runs.
    redis.set(KEY, b"written before", SetOptions::default()).await?;
    assert_eq!(store.get(KEY).await?.as_deref(), Some(&b"written before"[..]));
    // The other way round it is not so: whoever reads without the layer gets the compressed bytes. All readers first,
    // then the writers.
    store.set(KEY, &orders, SetOptions::default()).await?;
    assert_ne!(redis.get(KEY).await?.as_deref(), Some(&orders[..]));

    // A few kilobytes may claim to be gigabytes. Reading is bounded, and what is larger is an error instead of the end
    // of the process.
    let zeros = vec![0; 10_000_000];
    store.set(KEY, &zeros, SetOptions::default()).await?;
    let stored = redis.get(KEY).await?.map_or(0, |bytes| bytes.len());
    let cautious = Compressed::new(redis.clone(), CompressOptions::default().max_decompressed(1_000_000))?;
    let error = cautious.get(KEY).await.expect_err("ten times what is allowed");
    println!("{} bytes in {stored}: {error}", zeros.len());

    redis.delete(&[KEY]).await?;
    assert!(!redis.connection().exists(KEY).await?);
    Ok(())
}

/// The memory the value takes in Redis when it is written through this store.
async fn memory(redis: &RedisStore, store: &impl KvStore, value: &[u8]) -> Result<usize> {
    redis.delete(&[KEY]).await?;
    store.set(KEY, value, SetOptions::default()).await?;
    Ok(cmd("MEMORY").arg("USAGE").arg(KEY).query_async(&mut redis.connection()).await?)
}
