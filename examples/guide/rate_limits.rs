//! Rate limits: the counter for each minute lets through twice its limit; next to it, GCRA.
//!
//! Needs: a server.
//!
//! The limit here is 100 requests a minute for each client. The usual counter has a key for each minute. GCRA (the
//! generic cell rate algorithm) keeps one number for a client, the time at which all it has taken will have flowed off,
//! and so knows no minutes that begin.

use anyhow::Result;
use kv_redis::RedisStore;
use redis::{AsyncTypedCommands, Client, aio::MultiplexedConnection};
use redis_ratelimit::{Decision, Quota, RateLimitOptions, RateLimiter};
use std::sync::Arc;
use std::time::Instant;

const LIMIT: i64 = 100;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let url = examples::redis_url()?;
    let mut redis = Client::open(&*url)?.get_multiplexed_async_connection().await?;
    let keys = ["guide:limit:ada:719", "guide:limit:ada:720", "guide:limit:bob:59", "guide:{ada}"];
    redis.del(&keys).await?;

    // At 11:59:59 Ada makes a hundred requests, at 12:00:00 a hundred more: each minute has had its hundred, and the
    // server two hundred at once.
    let mut admitted = 0;
    for seconds in [11 * 3600 + 59 * 60 + 59, 12 * 3600] {
        for _ in 0..150 {
            admitted += i64::from(naive(&mut redis, "ada", seconds / 60).await?);
        }
    }
    println!("a counter for each minute: {admitted} requests of a limit of {LIMIT} within a second");
    assert_eq!(admitted, 2 * LIMIT);

    // The same with the minute of the hour in the key, to have but sixty keys. Without an expiry the count of 11:59 is
    // met again at 12:59.
    for _ in 0..LIMIT {
        assert!(naive(&mut redis, "bob", 719 % 60).await?);
    }
    let an_hour_later = naive(&mut redis, "bob", 779 % 60).await?;
    println!("minute of the hour as key: bob's first request an hour later is admitted: {an_hour_later}");
    assert!(!an_hour_later);
    // With one it is right, if the expiry is really set: INCR and EXPIRE are two commands, and a client dies in
    // between. See `lua_scripts`.

    // GCRA, the same three hundred requests: a hundred, and one for each 600 ms that have passed.
    let store = Arc::new(RedisStore::connect(&url).await?);
    let limiter =
        RateLimiter::new(store, Quota::per_minute(LIMIT as u64), RateLimitOptions::default().prefix("guide"))?;
    let began = Instant::now();
    let (mut admitted, mut last) = (0, None);
    for _ in 0..300 {
        let decision = limiter.check("ada").await?;
        admitted += i64::from(decision.is_allowed());
        last = Some(decision);
    }
    let flowed_off = (began.elapsed().as_secs_f64() / 0.6) as i64 + 1;
    println!("GCRA: {admitted} requests within {:.1?}", began.elapsed());
    assert!((LIMIT..=LIMIT + flowed_off).contains(&admitted));
    // Who is refused is told when to come again, to the microsecond, and a refusal costs nothing.
    if let Some(Decision::Denied { retry_after: Some(wait), .. }) = last {
        println!("the next one in {wait:?}");
        assert!(wait.as_millis() <= 600);
    }

    // A smaller burst spreads them: ten at once, and then one every 600 ms. One request may cost more than another, and
    // what was not used comes back.
    let smooth = Quota::per_minute(LIMIT as u64).burst(10);
    let store = Arc::new(RedisStore::connect(&url).await?);
    let limiter = RateLimiter::new(store, smooth, RateLimitOptions::default().prefix("guide-smooth"))?;
    limiter.reset("ada").await?;
    assert!(limiter.check_n("ada", 10).await?.is_allowed());
    assert!(!limiter.check_n("ada", 5).await?.is_allowed());
    limiter.refund("ada", 5).await?;
    assert!(limiter.check_n("ada", 5).await?.is_allowed());
    limiter.reset("ada").await?;
    redis.del(&keys).await?;
    Ok(())
}

/// The counter as it stands in most tutorials, its EXPIRE left out as it is after a crash.
async fn naive(redis: &mut MultiplexedConnection, client: &str, minute: i64) -> Result<bool> {
    Ok(redis.incr(format!("guide:limit:{client}:{minute}"), 1).await? as i64 <= LIMIT)
}
