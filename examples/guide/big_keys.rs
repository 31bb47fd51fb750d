//! Big keys: values in parts, UNLINK, SCAN instead of KEYS, and how to find them.
//!
//! Needs: a server.
//!
//! One thread executes all commands. A command that takes 50 ms is 50 ms in which nobody gets an answer, however many
//! connections there are; what takes long are commands on large things: KEYS, DEL of a million members, HGETALL, a
//! reply of 100 MB.

use anyhow::Result;
use kv_core::{ChunkOptions, KvStoreExt};
use kv_redis::RedisStore;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, AsyncTypedCommands, Client, ScanOptions, cmd, pipe};
use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let url = examples::redis_url()?;
    // What is slow on purpose needs more time than the half second a reply has by default.
    let patient = AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(30)));
    let mut redis = Client::open(&*url)?.get_multiplexed_async_connection_with_config(&patient).await?;

    // A value of 10 MB is stored as guide:film:part:1, :2 and so on, so that each command moves one part, and others
    // come in between. Readers see all of one version or all of another: the parts are named in a manifest, which is
    // written last.
    let store = RedisStore::connect(&url).await?;
    let film: Vec<u8> = (0..10_000_000_u32).map(|at| (at % 251) as u8).collect();
    let parts = ChunkOptions::default().part_bytes(1 << 20);
    store.set_chunked("guide:film", &film, &parts).await?;
    let mut largest = largest_keys(&mut redis).await?;
    println!("film: {} keys, the largest {} bytes", largest.len(), largest[0].1);
    assert!(largest.len() > 10 && largest[0].1 < 2 << 20);
    assert!(store.get_chunked("guide:film", &parts).await?.is_some_and(|value| value == film));
    store.delete_chunked("guide:film").await?;

    // 50,000 small keys, and a set of 100,000 members.
    for first in (0..50_000).step_by(5_000) {
        let keys: Vec<_> = (first..first + 5_000).map(|at| (format!("guide:many:{at}"), at)).collect();
        redis.mset(&keys).await?;
    }
    for big in ["guide:set:1", "guide:set:2"] {
        for first in (0..100_000).step_by(10_000) {
            let members: Vec<_> = (first..first + 10_000).map(|at| format!("member-{at}")).collect();
            redis.sadd(big, members).await?;
        }
    }

    // KEYS walks all of them in one go; SCAN in steps of about COUNT, and others have their turn in between. It may
    // return a key twice, and keys that come or go meanwhile or not; those that are there all the time it returns.
    cmd("CONFIG").arg("RESETSTAT").exec_async(&mut redis).await?;
    assert_eq!(redis.keys("guide:many:*").await?.len(), 50_000);
    let mut found = 0;
    let every = ScanOptions::default().with_pattern("guide:many:*").with_count(1_000);
    let mut pages = redis.scan_options::<String>(every).await?;
    while pages.next_item().await.transpose()?.is_some() {
        found += 1;
    }
    drop(pages);
    assert!(found >= 50_000);

    // DEL frees 100,000 members before it answers. UNLINK takes the key away, and a thread in the background frees
    // them.
    redis.del("guide:set:1").await?;
    redis.unlink("guide:set:2").await?;

    // The server has measured all of it: microseconds in which it did nothing else.
    let stats: String = cmd("INFO").arg("commandstats").query_async(&mut redis).await?;
    let [keys, scan, del, unlink] = ["keys", "scan", "del", "unlink"].map(|name| micros_per_call(&stats, name));
    println!("others wait for {keys:.0} µs during KEYS, {scan:.0} µs during a page of SCAN");
    println!("others wait for {del:.0} µs during DEL, {unlink:.0} µs during UNLINK");
    assert!(keys > 5.0 * scan && del > 5.0 * unlink);

    // To find them: all keys in pages, and their size by pipeline. `redis-cli --memkeys` does the same; at night, or on
    // a replica.
    redis.rpush("guide:forgotten", vec!["an entry that nobody trims"; 20_000]).await?;
    largest = largest_keys(&mut redis).await?;
    println!("the largest key is {} of {} bytes, among {}", largest[0].0, largest[0].1, largest.len());
    assert_eq!(largest[0].0, "guide:forgotten");

    // Away with all of it: pages of keys, unlinked page by page.
    redis.unlink("guide:forgotten").await?;
    for page in largest.chunks(1_000) {
        redis.unlink(page.iter().map(|(key, _)| key).collect::<Vec<_>>()).await?;
    }
    Ok(())
}

/// The keys of the guide with their bytes, the largest first.
async fn largest_keys(redis: &mut MultiplexedConnection) -> Result<Vec<(String, usize)>> {
    let (mut cursor, mut keys) = (0_u64, Vec::new());
    loop {
        let mut scan = cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg("guide:*").arg("COUNT").arg(1_000);
        let (next, page): (u64, Vec<String>) = scan.query_async(redis).await?;
        let mut sizes = pipe();
        for key in &page {
            sizes.cmd("MEMORY").arg("USAGE").arg(key);
        }
        if !page.is_empty() {
            // None for a key that has gone since.
            let sizes: Vec<Option<usize>> = sizes.query_async(redis).await?;
            keys.extend(page.into_iter().zip(sizes).filter_map(|(key, size)| Some((key, size?))));
        }
        cursor = next;
        if cursor == 0 {
            keys.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
            return Ok(keys);
        }
    }
}

fn micros_per_call(stats: &str, command: &str) -> f64 {
    let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:")));
    let value = line.and_then(|line| line.split(',').find_map(|field| field.strip_prefix("usec_per_call=")));
    value.and_then(|value| value.parse().ok()).expect("the command was called")
}
