//! Locks: how the usual few lines fail, and what a lock can promise.
//!
//! Needs: a server.
//!
//! A lock in Redis is a key that one client sets and others cannot. It has an expiry, since its holder may die; and so
//! it can run out while its holder, who only was slow, still works. Everything difficult about locks follows from that.

use anyhow::{Context, Result, ensure};
use kv_redis::RedisStore;
use redis::{AsyncTypedCommands, Client, ExistenceCheck, Script, SetExpiry, SetOptions, aio::MultiplexedConnection};
use redis_lock::{LockManager, LockOptions, Release, TryAcquire};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let url = examples::redis_url()?;
    let mut redis = Client::open(&*url)?.get_multiplexed_async_connection().await?;
    redis.del(&["guide:lock", "guide:{invoice}", "guide:{invoice}:fence"]).await?;

    // DEL to unlock. Ada is slower than her lock; Bob gets it; Ada is done and deletes the lock, which is Bob's; Eve
    // gets it, too.
    assert!(lock(&mut redis, "ada", 20).await?);
    let started = Instant::now();
    while !lock(&mut redis, "bob", 60_000).await? {
        ensure!(started.elapsed() < Duration::from_secs(30), "ada's lock does not run out");
        sleep(Duration::from_millis(5)).await;
    }
    redis.del("guide:lock").await?;
    assert!(lock(&mut redis, "eve", 60_000).await?);
    println!("unlocked by DEL: bob and eve both hold the lock");

    // So one deletes it only if it has one's own token, in a script. It must be the token as it was written: locked
    // with JSON, and unlocked with the bare text, it is never the same, and every unlock does nothing. The lock works,
    // only it is never free before its expiry.
    let unlock = Script::new(
        "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
         return 0",
    );
    redis.del("guide:lock").await?;
    let token = format!("{:032x}", rand::random::<u128>());
    assert!(lock(&mut redis, &serde_json::to_string(&token)?, 60_000).await?);
    let unlocked: i64 = unlock.key("guide:lock").arg(&token).invoke_async(&mut redis).await?;
    println!("locked as JSON, unlocked with the bare token: {unlocked} deleted");
    assert_eq!(unlocked, 0);
    assert!(!lock(&mut redis, "bob", 60_000).await?);

    // Ours has a token of its own for each holder, renews the lease while the guard lives, and tells when that fails.
    let locks = |name: &str| {
        let options = LockOptions::default().prefix("guide").lease(Duration::from_secs(2)).label(name);
        let url = url.clone();
        async move { anyhow::Ok(LockManager::new(Arc::new(RedisStore::connect(&url).await?), options)?) }
    };
    let (ada, bob) = (locks("ada").await?, locks("bob").await?);
    let adas = ada.acquire("invoice", Duration::from_secs(5)).await?;
    let TryAcquire::Held { .. } = bob.try_acquire("invoice").await? else { panic!("two holders") };
    let mut database = Database::default();
    assert!(database.write(adas.fencing_token(), "ada was here"));

    // Somebody deletes the key, or a failover loses it, or Ada's process sleeps through her lease. She is told, and
    // work within `run` is dropped where it is; but what she has sent already nobody can call back.
    redis.del("guide:{invoice}").await?;
    timeout(Duration::from_secs(20), adas.lost()).await.context("nobody tells ada")?;
    assert!(adas.run(async { unreachable!("she has no lock") }).await.is_err());
    let bobs = bob.acquire("invoice", Duration::from_secs(20)).await?;
    println!("ada has lost the lock, and bob has it: tokens {} and {}", adas.fencing_token(), bobs.fencing_token());
    // That is what the number is for: it grows with each holder, and the database refuses one that is smaller than it
    // has seen.
    assert!(bobs.fencing_token() > adas.fencing_token());
    assert!(database.write(bobs.fencing_token(), "bob was here"));
    assert!(!database.write(adas.fencing_token(), "ada is late"));
    assert_eq!(database.text, "bob was here");

    // Ada's release does nothing to Bob's lock. His own passes it on: Ada stands in line, and is woken at once.
    assert_ne!(adas.release().await?, Release::Released);
    let waiting = tokio::spawn(async move { ada.acquire("invoice", Duration::from_secs(20)).await });
    assert_eq!(bobs.release().await?, Release::Released);
    assert_eq!(waiting.await??.release().await?, Release::Released);

    redis.del(&["guide:lock", "guide:{invoice}:fence"]).await?;
    Ok(())
}

/// The lock as it stands in every tutorial: SET NX PX.
async fn lock(redis: &mut MultiplexedConnection, token: &str, millis: u64) -> Result<bool> {
    let free = SetOptions::default().conditional_set(ExistenceCheck::NX).with_expiration(SetExpiry::PX(millis));
    Ok(redis.set_options("guide:lock", token, free).await?.is_some())
}

/// What the lock guards. In SQL: `UPDATE … SET text = $2, fence = $1 WHERE fence <= $1`.
#[derive(Default)]
struct Database {
    fence: u64,
    text: &'static str,
}

impl Database {
    fn write(&mut self, fence: u64, text: &'static str) -> bool {
        if fence < self.fence {
            return false;
        }
        (self.fence, self.text) = (fence, text);
        true
    }
}
