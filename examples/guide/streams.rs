//! Streams: an event log that groups of consumers share, and the claim of what a dead one left.
//!
//! Needs: a server.
//!
//! A stream is a log: entries get ids in order and stay until they are trimmed. Each consumer group reads all of it;
//! inside a group each entry goes to one consumer, and is pending until that one acknowledges it. That is at least
//! once: who dies between the work and the acknowledgement has done the work, and somebody does it again.

use anyhow::{Result, ensure};
use redis::aio::MultiplexedConnection;
use redis::streams::{StreamAutoClaimOptions, StreamId, StreamMaxlen, StreamRangeReply, StreamReadOptions};
use redis::{AsyncTypedCommands, Client};
use std::time::{Duration, Instant};
use tokio::time::sleep;

const ORDERS: &str = "guide:orders";
/// How long an entry may be pending before another consumer may take it: longer than the work ever takes.
const IDLE_MS: usize = 100;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut redis = Client::open(examples::redis_url()?)?.get_multiplexed_async_connection().await?;
    redis.del(ORDERS).await?;
    // A group begins at an id: 0 is the first entry there is, $ what comes from now on. MKSTREAM, as there may be no
    // stream yet.
    for group in ["billing", "shipping"] {
        redis.xgroup_create_mkstream(ORDERS, group, "0").await?;
    }
    // Trimmed as it grows, to about a thousand: "about" lets the server cut whole blocks, which is much cheaper.
    for order in 1..=10 {
        redis.xadd_maxlen(ORDERS, StreamMaxlen::Approx(1_000), "*", &[("order", order)]).await?;
    }
    assert_eq!(redis.xlen(ORDERS).await?, 10);

    // Two consumers share the work of a group.
    let ada = read(&mut redis, "billing", "ada", 4).await?;
    let bob = read(&mut redis, "billing", "bob", 100).await?;
    assert_eq!((orders(&ada), orders(&bob)), (vec![1, 2, 3, 4], vec![5, 6, 7, 8, 9, 10]));
    // The other group sees all of it, whatever the first has read.
    assert_eq!(orders(&read(&mut redis, "shipping", "joe", 100).await?).len(), 10);

    // Bob does his work and says so. Ada does one order and dies.
    redis.xack(ORDERS, "billing", &ids(&bob)).await?;
    redis.xack(ORDERS, "billing", &ids(&ada[..1])).await?;
    let pending = redis.xpending_count(ORDERS, "billing", "-", "+", 100).await?.ids;
    assert!(pending.len() == 3 && pending.iter().all(|entry| entry.consumer == "ada" && entry.times_delivered == 1));
    println!("{} orders are pending with ada", pending.len());
    // Nothing new comes of reading: what is pending belongs to ada.
    assert!(read(&mut redis, "billing", "bob", 100).await?.is_empty());

    // Bob claims what has been pending for too long. The ids in hand are the same; only the owner changes.
    let mut claimed = Vec::new();
    let started = Instant::now();
    while claimed.len() < 3 {
        ensure!(started.elapsed() < Duration::from_secs(30), "nothing to claim");
        let options = StreamAutoClaimOptions::default().count(100);
        let reply = redis.xautoclaim_options(ORDERS, "billing", "bob", IDLE_MS, "0-0", options).await?;
        claimed.extend(reply.claimed);
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(orders(&claimed), [2, 3, 4]);
    println!("bob claims {:?}", orders(&claimed));
    // An entry that kills whoever takes it comes back for ever: after some deliveries it belongs aside, for a person to
    // look at.
    let pending = redis.xpending_count(ORDERS, "billing", "-", "+", 100).await?.ids;
    assert!(pending.iter().all(|entry| entry.consumer == "bob" && entry.times_delivered == 2));
    redis.xack(ORDERS, "billing", &ids(&claimed)).await?;
    assert!(redis.xpending_count(ORDERS, "billing", "-", "+", 100).await?.ids.is_empty());

    // An acknowledgement takes nothing out of the log: it can be read again, by anyone, from any id.
    let history: StreamRangeReply = redis.xrange(ORDERS, &ada[0].id, "+").await?;
    assert_eq!(orders(&history.ids).len(), 10);
    let groups = redis.xinfo_groups(ORDERS).await?.groups;
    assert_eq!(groups.iter().map(|group| group.pending).collect::<Vec<_>>(), [0, 10]);

    redis.del(ORDERS).await?;
    Ok(())
}

/// What is new to the group. With BLOCK it waits for it, on a connection of its own: see `lists`.
async fn read(redis: &mut MultiplexedConnection, group: &str, consumer: &str, count: usize) -> Result<Vec<StreamId>> {
    let options = StreamReadOptions::default().group(group, consumer).count(count);
    let reply = redis.xread_options(&[ORDERS], &[">"], &options).await?;
    Ok(reply.into_iter().flat_map(|reply| reply.keys).flat_map(|stream| stream.ids).collect())
}

fn ids(entries: &[StreamId]) -> Vec<&str> {
    entries.iter().map(|entry| entry.id.as_str()).collect()
}

fn orders(entries: &[StreamId]) -> Vec<u32> {
    entries.iter().filter_map(|entry| entry.get("order")).collect()
}
