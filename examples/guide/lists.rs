//! Lists: a work queue, and workers that wait for work on connections of their own.
//!
//! Needs: a server.
//!
//! A list is pushed and popped at both ends in constant time, so it is a queue when one end is pushed and the other
//! popped. What is popped is gone: a worker that dies with a job in its hands loses it, which `reliable_queue` mends.

use anyhow::{Context, Result};
use redis::{AsyncConnectionConfig, AsyncTypedCommands, Client};
use std::{num::NonZeroUsize, time::Duration};
use tokio::time::timeout;

const JOBS: &str = "guide:jobs";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let client = Client::open(examples::redis_url()?)?;
    let mut redis = client.get_multiplexed_async_connection().await?;
    redis.del(&[JOBS, "guide:recent"]).await?;

    // Pushed at the right, popped at the left: first come, first served. Several jobs are one round trip.
    assert_eq!(redis.rpush(JOBS, &["resize 1", "resize 2", "resize 3", "mail"]).await?, 4);
    // Both ends of a range are included, and -1 is the last: this reads all of it and takes nothing.
    assert_eq!(redis.lrange(JOBS, 0, -1).await?, ["resize 1", "resize 2", "resize 3", "mail"]);
    let first: Option<String> = redis.lpop(JOBS, None).await?;
    assert_eq!(first.as_deref(), Some("resize 1"));
    let batch: Vec<String> = redis.lpop(JOBS, NonZeroUsize::new(2)).await?;
    assert_eq!(batch, ["resize 2", "resize 3"]);
    // What is urgent goes to the front.
    redis.lpush(JOBS, "alarm").await?;
    assert_eq!(redis.lindex(JOBS, 0).await?.as_deref(), Some("alarm"));
    assert_eq!(redis.lrem(JOBS, 0, "mail").await?, 1);
    let last: Option<String> = redis.rpop(JOBS, None).await?;
    assert_eq!(last.as_deref(), Some("alarm"));
    // An empty list does not exist.
    assert!(!redis.exists(JOBS).await?);

    // The latest five: push and cut in one transaction, and the list never grows.
    for event in 1..=20 {
        let mut keep = redis::pipe();
        keep.atomic().lpush("guide:recent", event).ltrim("guide:recent", 0, 4);
        keep.exec_async(&mut redis).await?;
    }
    assert_eq!(redis.lrange("guide:recent", 0, -1).await?, ["20", "19", "18", "17", "16"]);

    // BLPOP waits until there is something, instead of asking again and again. The server answers commands of a
    // connection in order, so one that waits makes all behind it wait: a worker has a connection to itself. The client
    // would give the answer up after half a second (and lose what comes with it), therefore this connection sets no
    // time-out; the command has its own.
    let own = AsyncConnectionConfig::new().set_response_timeout(None);
    let mut worker = client.get_multiplexed_async_connection_with_config(&own).await?;
    let work = tokio::spawn(async move {
        let mut done = Vec::new();
        // It waits for up to 10 s for each job, and ends at the word that says so.
        while let Some([_queue, job]) = worker.blpop(JOBS, 10.0).await?
            && job != "stop"
        {
            done.push(job);
        }
        anyhow::Ok(done)
    });
    // The shared connection goes on meanwhile.
    for job in ["a", "b", "c", "stop"] {
        assert_eq!(redis.ping().await?, "PONG");
        redis.rpush(JOBS, job).await?;
    }
    let done = timeout(Duration::from_secs(20), work).await.context("the worker does not end")???;
    assert_eq!(done, ["a", "b", "c"]);
    println!("the worker did {done:?}");

    // Nothing to do is an answer, too.
    let mut worker = client.get_multiplexed_async_connection_with_config(&own).await?;
    assert_eq!(worker.blpop(JOBS, 0.05).await?, None);
    redis.del("guide:recent").await?;
    Ok(())
}
