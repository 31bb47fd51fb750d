//! A session store: sliding expiry, an end that nothing postpones, and logging out everywhere.
//!
//! Needs: a server.
//!
//! A session is one value under a random id. Each request reads it and moves its expiry in the same command, so that a
//! session in use stays and one that is not goes by itself, without a job that cleans up.

use anyhow::{Result, ensure};
use redis::{
    AsyncTypedCommands, Client, ExistenceCheck, Expiry, IntegerReplyOrNoOp::IntegerReply, SetExpiry, SetOptions,
    aio::MultiplexedConnection,
};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Unused for this long, a session ends.
const IDLE: u64 = 30 * 60;
/// However much it is used, it ends after this.
const LONGEST: u64 = 12 * 60 * 60;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Session {
    user: String,
    basket: Vec<u32>,
    /// The server's clock when it began: clients' clocks differ.
    began: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut redis = Client::open(examples::redis_url()?)?.get_multiplexed_async_connection().await?;
    let id = log_in(&mut redis, "ada").await?;
    assert!(open(&mut redis, "guessed").await?.is_none());

    // 29 minutes later (we set back the expiry, instead of waiting) the session is used, and lives for another half an
    // hour.
    redis.expire(key(&id), 60).await?;
    let mut session = open(&mut redis, &id).await?.expect("it is there");
    let IntegerReply(left) = redis.ttl(key(&id)).await? else { panic!("a session without an expiry") };
    println!("used with 60 s left, now {left} s");
    assert!((IDLE as usize - 60..=IDLE as usize).contains(&left));

    // A change keeps the expiry, and is made only if the session is there.
    session.basket.push(42);
    assert!(save(&mut redis, &id, &session).await?);
    assert_eq!(open(&mut redis, &id).await?.as_ref(), Some(&session));

    // The one that began twelve hours ago ends, though it was used a moment ago.
    let old = log_in(&mut redis, "ada").await?;
    let mut aged = open(&mut redis, &old).await?.expect("it is there");
    aged.began -= LONGEST;
    assert!(save(&mut redis, &old, &aged).await?);
    assert!(open(&mut redis, &old).await?.is_none());

    // Logged out everywhere. A request that was under way and saves late must not bring the session back: with a plain
    // SET it would.
    let other = log_in(&mut redis, "ada").await?;
    assert_eq!(log_out(&mut redis, "ada").await?, 2);
    assert!(!save(&mut redis, &id, &session).await?);
    assert!(open(&mut redis, &id).await?.is_none() && open(&mut redis, &other).await?.is_none());
    println!("logged out everywhere");

    // Unused, it goes by itself.
    let id = log_in(&mut redis, "bob").await?;
    redis.pexpire(key(&id), 20).await?;
    let started = Instant::now();
    while redis.exists(key(&id)).await? {
        ensure!(started.elapsed() < Duration::from_secs(30), "it does not expire");
        sleep(Duration::from_millis(5)).await;
    }
    redis.del("guide:sessions:bob").await?;
    Ok(())
}

fn key(id: &str) -> String {
    format!("guide:session:{id}")
}

/// Begins a session; its id is what the cookie holds, and 128 bits of chance are what nobody guesses.
async fn log_in(redis: &mut MultiplexedConnection, user: &str) -> Result<String> {
    let (began, _): (u64, u64) = redis::cmd("TIME").query_async(redis).await?;
    let id = format!("{:032x}", rand::random::<u128>());
    let session = Session { user: user.to_owned(), basket: Vec::new(), began };
    let mut write = redis::pipe();
    write.atomic().set_ex(key(&id), serde_json::to_string(&session)?, IDLE);
    // Which sessions a user has; it lives as long as the longest of them.
    let mine = format!("guide:sessions:{user}");
    write.sadd(&mine, &id).expire(&mine, LONGEST as i64);
    write.exec_async(redis).await?;
    Ok(id)
}

/// The session, which lives on from now: GETEX reads and moves the expiry in one step.
async fn open(redis: &mut MultiplexedConnection, id: &str) -> Result<Option<Session>> {
    let Some(text) = redis.get_ex(key(id), Expiry::EX(IDLE)).await? else { return Ok(None) };
    let session: Session = serde_json::from_str(&text)?;
    let (now, _): (u64, u64) = redis::cmd("TIME").query_async(redis).await?;
    if now >= session.began + LONGEST {
        redis.del(key(id)).await?;
        redis.srem(format!("guide:sessions:{}", session.user), id).await?;
        return Ok(None);
    }
    Ok(Some(session))
}

/// Writes a session that is there still (XX), with the expiry it has (KEEPTTL); false if it is gone.
async fn save(redis: &mut MultiplexedConnection, id: &str, session: &Session) -> Result<bool> {
    let present = SetOptions::default().conditional_set(ExistenceCheck::XX).with_expiration(SetExpiry::KEEPTTL);
    Ok(redis.set_options(key(id), serde_json::to_string(session)?, present).await?.is_some())
}

/// Ends all sessions of a user; returns how many there were.
async fn log_out(redis: &mut MultiplexedConnection, user: &str) -> Result<usize> {
    let mine = format!("guide:sessions:{user}");
    // Read and emptied in one step, so that a login meanwhile is in the list or in the next one.
    let (ids,): (Vec<String>,) = redis::pipe().atomic().smembers(&mine).del(&mine).ignore().query_async(redis).await?;
    let keys: Vec<_> = ids.iter().map(|id| key(id)).collect();
    Ok(if keys.is_empty() { 0 } else { redis.del(keys).await? })
}
