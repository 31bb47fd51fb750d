//! A queue that survives its workers: LMOVE, and recovery of what a crashed one had taken.
//!
//! Needs: a server.
//!
//! LMOVE takes an element from one list and puts it into another in one step, so a job is always in one of them: in the
//! queue, or in the list of the worker that has it. A worker says that it lives by a key with an expiry; what lies in
//! the list of one that is silent goes back. A job may be done twice then (the worker had finished, and not said so),
//! but never zero times: jobs have to be idempotent.

use anyhow::{Result, ensure};
use redis::{AsyncTypedCommands, Client, Direction, aio::MultiplexedConnection, cmd};
use std::time::{Duration, Instant};
use tokio::time::sleep;

const QUEUE: &str = "guide:queue";
const DONE: &str = "guide:done";
const WORKERS: [&str; 2] = ["w1", "w2"];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut redis = Client::open(examples::redis_url()?)?.get_multiplexed_async_connection().await?;
    let lists = WORKERS.map(taken_by);
    redis.del(&[QUEUE, DONE, &lists[0], &lists[1]]).await?;
    let jobs: Vec<String> = (1..=10).map(|job| format!("job {job}")).collect();
    redis.rpush(QUEUE, &jobs).await?;

    // The first worker does three jobs, takes a fourth, and dies.
    for _ in 0..3 {
        let job = take(&mut redis, "w1").await?.expect("there is work");
        finish(&mut redis, "w1", &job).await?;
    }
    let lost = take(&mut redis, "w1").await?.expect("there is work");
    println!("w1 dies with {lost:?}");
    assert_eq!(redis.lrange(taken_by("w1"), 0, -1).await?, [lost.as_str()]);

    // The second one does the rest, and looks for others that have died whenever the queue is empty.
    let started = Instant::now();
    loop {
        if let Some(job) = take(&mut redis, "w2").await? {
            finish(&mut redis, "w2", &job).await?;
        } else if recover(&mut redis).await? == 0 {
            if redis.scard(DONE).await? == jobs.len() {
                break;
            }
            // Not all is done and nobody is dead: the heartbeat of the first has not expired yet.
            ensure!(started.elapsed() < Duration::from_secs(30), "a job is lost");
            sleep(Duration::from_millis(10)).await;
        }
    }
    assert!(redis.sismember(DONE, &lost).await?);
    assert!(!redis.exists(taken_by("w1")).await?);
    println!("all {} jobs are done, {lost:?} by w2", jobs.len());

    redis.del(&[QUEUE, DONE]).await?;
    Ok(())
}

fn taken_by(worker: &str) -> String {
    format!("guide:taken:{worker}")
}

fn heartbeat_of(worker: &str) -> String {
    format!("guide:alive:{worker}")
}

/// Says that the worker lives, then moves a job into its list. A worker that waits says BLMOVE, on a connection of its
/// own.
async fn take(redis: &mut MultiplexedConnection, worker: &str) -> Result<Option<String>> {
    // Longer than any job takes, or renewed while one lasts.
    redis.pset_ex(heartbeat_of(worker), 1, 300).await?;
    let mut take = cmd("LMOVE");
    take.arg(QUEUE).arg(taken_by(worker)).arg(Direction::Left).arg(Direction::Right);
    Ok(take.query_async(redis).await?)
}

/// Does the job, and only then lets go of it. Counting it in a set is idempotent: the second time changes nothing.
async fn finish(redis: &mut MultiplexedConnection, worker: &str, job: &str) -> Result<()> {
    redis.sadd(DONE, job).await?;
    redis.lrem(taken_by(worker), 1, job).await?;
    Ok(())
}

/// Puts back what silent workers had taken, to the front of the queue; returns how much it was.
async fn recover(redis: &mut MultiplexedConnection) -> Result<usize> {
    let mut recovered = 0;
    for worker in WORKERS {
        if redis.exists(heartbeat_of(worker)).await? {
            continue;
        }
        let mut back = cmd("LMOVE");
        back.arg(taken_by(worker)).arg(QUEUE).arg(Direction::Right).arg(Direction::Left);
        // Each move is atomic, so several may recover at once and no job is doubled by it.
        while back.query_async::<Option<String>>(redis).await?.is_some() {
            recovered += 1;
        }
    }
    Ok(recovered)
}
