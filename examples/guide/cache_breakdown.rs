//! Breakdown: a value that all want expires, and all of them load it at once.
//!
//! Needs: a server.
//!
//! Also called a stampede or dogpile: fifty clients find nothing, and none knows of the others. The database, which was
//! spared until then, gets fifty times the same question at one moment. One has to load, and the others have to wait
//! for it; and should it fail, they have to notice.

use anyhow::Result;
use examples::SlowDatabase;
use kv_redis::RedisStore;
use redis::{AsyncTypedCommands, Client};
use redis_cache::{Cache, CacheOptions};
use std::sync::Arc;
use tokio::task::JoinSet;

const CLIENTS: usize = 50;

#[tokio::main]
async fn main() -> Result<()> {
    let url = examples::redis_url()?;
    let redis = Client::open(&*url)?.get_multiplexed_async_connection().await?;
    let database = SlowDatabase::default();
    redis.clone().del(&["guide:product:42", "guide:product:loading"]).await?;

    // Look, load, store.
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (mut redis, database) = (redis.clone(), database.clone());
        clients.spawn(async move {
            if let Some(value) = redis.get("guide:product:42").await? {
                return anyhow::Ok(Some(value));
            }
            let value = database.load("42").await?;
            redis.set_ex("guide:product:42", value.as_deref().unwrap_or("NULL"), 300).await?;
            Ok(value)
        });
    }
    while let Some(client) = clients.join_next().await {
        assert_eq!(client??.as_deref(), Some("product 42"));
    }
    let without = database.loads();

    // With the guard one of them loads, in whichever process; those in its process wait for its result, those in others
    // for the message that it is there.
    let options = || CacheOptions::default().prefix("guide");
    let mut processes = Vec::new();
    for _ in 0..2 {
        processes.push(Cache::<String>::new(Arc::new(RedisStore::connect(&url).await?), options())?);
    }
    processes[0].invalidate("42").await?;
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (cache, database) = (processes[client % 2].clone(), database.clone());
        clients.spawn(async move { cache.get_or_load("42", || database.load("42")).await });
    }
    while let Some(client) = clients.join_next().await {
        assert_eq!(client??.as_deref().map(String::as_str), Some("product 42"));
    }
    let with = database.loads();
    println!("{CLIENTS} clients want what has expired: {without} loads without the guard, {with} with it");
    assert!(without > 1);
    assert_eq!(with, 1);

    // The usual remedy is a flag, "somebody loads it", which is set before and deleted after. A load that fails leaves
    // by `?` in between, and from then on everybody waits for somebody who is not there.
    let load_with_flag = async |id: &str| {
        let mut redis = redis.clone();
        if !redis.set_nx("guide:product:loading", 1).await? {
            return anyhow::Ok("wait, somebody loads it");
        }
        database.load(id).await?;
        redis.del("guide:product:loading").await?;
        Ok("loaded")
    };
    assert!(load_with_flag("broken").await.is_err());
    for _ in 0..10 {
        assert_eq!(load_with_flag("11").await?, "wait, somebody loads it");
    }
    println!("a flag that an error leaves behind: nobody loads any more");

    // Ours is a lease, which the server ends when its holder does. The error reaches all who wait, and the next one
    // tries again.
    let cache = &processes[0];
    cache.invalidate("11").await?;
    let error = cache.get_or_load("11", || database.load("broken")).await.expect_err("the database is away");
    println!("with the guard: {error}");
    let loaded = cache.get_or_load("11", || database.load("11")).await?;
    assert_eq!(loaded.as_deref().map(String::as_str), Some("product 11"));

    for id in ["11", "42"] {
        cache.invalidate(id).await?;
    }
    redis.clone().del(&["guide:product:42", "guide:product:loading"]).await?;
    Ok(())
}
