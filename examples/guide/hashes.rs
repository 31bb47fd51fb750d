//! Hashes: user profiles field by field, and what they cost next to JSON.
//!
//! Needs: a server.
//!
//! A hash is a map inside one key. It suits a record of which parts are read and written alone: one field travels, not
//! the record, and two clients that change different fields do not undo each other's work, as they do when each writes
//! back the JSON it has read.

use anyhow::Result;
use redis::{AsyncTypedCommands, Client, aio::MultiplexedConnection, cmd};
use serde_json::json;
use std::collections::HashMap;

const ADA: &str = "guide:user:ada";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut redis = Client::open(examples::redis_url()?)?.get_multiplexed_async_connection().await?;
    redis.del(&[ADA, "guide:user:json"]).await?;

    // Fields are created as they are set, the hash with its first field; HSET says how many were new.
    redis.hset_multiple(ADA, &[("name", "Ada"), ("city", "London"), ("plan", "free"), ("logins", "0")]).await?;
    assert_eq!(redis.hset(ADA, "plan", "paid").await?, 0);
    assert!(!redis.hset_nx(ADA, "city", "Paris").await?, "there is a city already");

    // One field, some fields, all fields. HGETALL of a hash with a million fields holds up everybody: see `big_keys`.
    assert_eq!(redis.hget(ADA, "plan").await?.as_deref(), Some("paid"));
    let some: Vec<Option<String>> = cmd("HMGET").arg(ADA).arg(&["name", "phone"]).query_async(&mut redis).await?;
    assert_eq!(some, [Some("Ada".into()), None]);
    let ada: HashMap<String, String> = redis.hgetall(ADA).await?;
    assert_eq!(ada["city"], "London");
    println!("{ada:?}");

    // Counters in a field, whole and not. HINCRBYFLOAT is for weights and averages; money is counted in cents.
    assert_eq!(redis.hincr(ADA, "logins", 1).await?, 1.0);
    assert_eq!(redis.hincr(ADA, "rating", 4.5).await?, 4.5);

    assert!(redis.hexists(ADA, "rating").await?);
    assert_eq!(redis.hlen(ADA).await?, 5);
    let bytes: usize = cmd("HSTRLEN").arg(ADA).arg("city").query_async(&mut redis).await?;
    assert_eq!(bytes, "London".len());
    let mut fields = redis.hkeys(ADA).await?;
    fields.sort();
    assert_eq!(fields, ["city", "logins", "name", "plan", "rating"]);
    assert!(redis.hvals(ADA).await?.contains(&"London".to_owned()));
    let picked: String = cmd("HRANDFIELD").arg(ADA).query_async(&mut redis).await?;
    assert!(fields.contains(&picked));
    // A large hash is walked in pages: a field may come twice if others are added meanwhile, but none is missed.
    let mut pages = redis.hscan_match::<_, _, (String, String)>(ADA, "n*").await?;
    assert_eq!(pages.next_item().await.transpose()?, Some(("name".into(), "Ada".into())));
    drop(pages);
    // The last field takes the key with it.
    assert_eq!(redis.hdel(ADA, &["logins", "rating"]).await?, 2);

    // Up to 128 fields of at most 64 bytes each lie in one packed block, which is why small hashes are cheap.
    let mut record = vec![("name", "Ada".to_owned()), ("city", "London".to_owned()), ("plan", "paid".to_owned())];
    let (hash, json) = bytes_of(&mut redis, &record).await?;
    println!("3 short fields:       {hash:>4} bytes as a hash, {json:>4} as JSON");
    assert!(hash.abs_diff(json) < 64, "they hardly differ");
    assert_ne!(redis.object_encoding(ADA).await?.as_deref(), Some("hashtable"));
    // One long value turns the block into a table, with a pointer and a header for each field.
    record.push(("about", "mathematics ".repeat(10)));
    let (hash, json) = bytes_of(&mut redis, &record).await?;
    println!("and one of 120 bytes: {hash:>4} bytes as a hash, {json:>4} as JSON");
    assert_eq!(redis.object_encoding(ADA).await?.as_deref(), Some("hashtable"));
    assert!(hash > json + json / 2, "the table costs half as much again, at least");

    redis.del(&[ADA, "guide:user:json"]).await?;
    Ok(())
}

/// The memory a record takes as a hash and as JSON, keys and bookkeeping included.
async fn bytes_of(redis: &mut MultiplexedConnection, record: &[(&str, String)]) -> Result<(usize, usize)> {
    redis.del(ADA).await?;
    redis.hset_multiple(ADA, record).await?;
    let json: serde_json::Map<_, _> = record.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    redis.set("guide:user:json", serde_json::to_string(&json)?).await?;
    let mut sizes = [0; 2];
    for (size, key) in sizes.iter_mut().zip([ADA, "guide:user:json"]) {
        *size = cmd("MEMORY").arg("USAGE").arg(key).query_async(redis).await?;
    }
    Ok(sizes.into())
}
