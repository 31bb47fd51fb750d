//! Caching: cache-aside, and penetration, what it does for a thing that does not exist.
//!
//! Needs: a server.
//!
//! Cache-aside is three steps: look, load what is not there, store it. They are right for one client and for what
//! exists. `redis-cache` is the same with guards, one chapter each: this one, `cache_breakdown` and `cache_avalanche`.

use anyhow::Result;
use examples::SlowDatabase;
use kv_redis::RedisStore;
use redis::{AsyncTypedCommands, Client, aio::MultiplexedConnection};
use redis_cache::{Cache, CacheOptions, Lookup};
use std::sync::Arc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let url = examples::redis_url()?;
    let mut redis = Client::open(&*url)?.get_multiplexed_async_connection().await?;
    let database = SlowDatabase::default();
    redis.del(&["guide:product:42", "guide:product:7", "guide:product:13"]).await?;

    // The first reader loads, the next ones do not; and what is never stored without an expiry is never wrong for ever.
    for _ in 0..10 {
        assert_eq!(cache_aside(&mut redis, &database, "42").await?.as_deref(), Some("product 42"));
    }
    assert_eq!(database.loads(), 1);
    // Whoever changes the database deletes the entry afterwards. To write the new value instead is a race: of two
    // writers the slower one wins.
    redis.del("guide:product:42").await?;

    // Penetration: what does not exist is not stored, so each request for it reaches the database. Anyone who makes up
    // ids can have it so.
    for _ in 0..20 {
        assert_eq!(cache_aside(&mut redis, &database, "7").await?, None);
    }
    let without = database.loads();

    // With the guard an absence is an entry like any other, with an expiry of its own.
    let cache = Cache::<String>::new(
        Arc::new(RedisStore::connect(&url).await?),
        // Against made up ids, of which each is new, there is a Bloom filter: `CacheOptions::guard`.
        CacheOptions::default().prefix("guide"),
    )?;
    for id in ["42", "7", "13"] {
        cache.invalidate(id).await?;
    }
    for _ in 0..20 {
        assert_eq!(cache.get_or_load("7", || database.load("7")).await?, None);
    }
    let with = database.loads();
    println!("20 requests for what does not exist: {without} loads without the guard, {with} with it");
    assert_eq!((without, with), (20, 1));
    assert_eq!(cache.get("7").await?, Lookup::Null);

    // The usual remedy is to store the text "NULL" for what is absent, until something is called that: product 13 is.
    redis.set_ex("guide:product:13", "NULL", 60).await?;
    let read = redis.get("guide:product:13").await?;
    let seen = read.filter(|value| value != "NULL");
    println!("product 13 by a cache that marks absence with a text: {seen:?}");
    assert_eq!(seen, None);
    // Our mark is in a header before the value, and so equal to no value.
    let seen = cache.get_or_load("13", || database.load("13")).await?;
    println!("product 13 by ours: {seen:?}");
    assert_eq!(seen.as_deref().map(String::as_str), Some("NULL"));

    // After a change of the database: forgotten, and a load that began before does not store what it has read.
    cache.invalidate("13").await?;
    assert_eq!(cache.get("13").await?, Lookup::Miss);
    redis.del("guide:product:13").await?;
    Ok(())
}

/// Look, load, store.
async fn cache_aside(redis: &mut MultiplexedConnection, database: &SlowDatabase, id: &str) -> Result<Option<String>> {
    let key = format!("guide:product:{id}");
    if let Some(value) = redis.get(&key).await? {
        return Ok(Some(value));
    }
    let value = database.load(id).await?;
    if let Some(value) = &value {
        redis.set_ex(&key, value, 300).await?;
    }
    Ok(value)
}
