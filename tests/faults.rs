//! A real server that is killed, paused, restarted and flushed.

use crate::backend::{eventually, soon};
use kv_core::{ErrorKind, Event, Executed, KvStore, KvStoreExt, PubSub, Repeat, RetryPolicy, SetOptions, retry_async};
use kv_redis::{RedisOptions, RedisStore};
use redis_cache::{Cache, CacheOptions, Lookup};
use redis_lock::{LockError, LockManager, LockOptions};
use redis_ratelimit::{Quota, RateLimitOptions, RateLimiter};
use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};
use xtask::fixture::Server;

const DEADLINE: Duration = Duration::from_millis(500);

async fn store(server: &Server) -> RedisStore {
    let options = RedisOptions::default().deadline(DEADLINE).heartbeat(Duration::from_millis(200));
    RedisStore::connect_with(&server.url(), options).await.unwrap()
}

#[tokio::test]
async fn every_call_ends_while_the_server_is_down_and_the_store_comes_back() {
    let server = Server::start().unwrap();
    let store = store(&server).await;
    store.set("key", b"1", SetOptions::default()).await.unwrap();
    server.kill().unwrap();
    for _ in 0..20 {
        let started = Instant::now();
        let error = store.get("key").await.unwrap_err();
        assert!(error.is_temporary(), "{error}");
        assert!(started.elapsed() < DEADLINE * 3, "{:?}", started.elapsed());
    }
    let error = store.get("key").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.executed()),
        (ErrorKind::Unavailable, Executed::No),
        "nobody was there to execute it"
    );
    server.restart().unwrap();
    eventually("it answers again", || async { store.set("key", b"2", SetOptions::default()).await.is_ok() }).await;
    assert_eq!(store.get("key").await.unwrap().unwrap(), "2");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_a_timeout_that_may_have_happened() {
    let server = Server::start().unwrap();
    let store = store(&server).await;
    server.pause().unwrap();
    let started = Instant::now();
    let error = store.incr_by("counter", 1).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Timeout, Executed::Maybe));
    assert!(!error.is_retryable() && error.is_temporary());
    assert!(started.elapsed() < DEADLINE * 3);
    server.resume().unwrap();
    // It did happen, and once.
    eventually("executed once", || async { store.get("counter").await.is_ok_and(|value| value.unwrap() == "1") }).await;
}

#[tokio::test]
async fn retrying_repeats_what_is_safe_and_nothing_else() {
    let server = Server::start().unwrap();
    let store = store(&server).await;
    server.pause().unwrap();
    let mut tries = 0;
    let policy = RetryPolicy::default().max_attempts(3).base(Duration::from_millis(1)).deadline(DEADLINE * 10);
    let increment = retry_async(&policy, Repeat::IfNotExecuted, || {
        tries += 1;
        store.incr_by("counter", 1)
    });
    assert!(increment.await.is_err());
    assert_eq!(tries, 1, "a lost reply to an increment is not asked again");
    let mut tries = 0;
    let read = retry_async(&policy, Repeat::Idempotent, || {
        tries += 1;
        if tries == 2 {
            server.resume().unwrap();
        }
        store.get("counter")
    });
    assert_eq!(read.await.unwrap().unwrap(), "1");
    assert_eq!(tries, 2);
}

#[tokio::test]
async fn retries_end_by_the_policys_deadline() {
    let server = Server::start().unwrap();
    let store = store(&server).await;
    server.pause().unwrap();
    let policy = RetryPolicy::default().max_attempts(100).deadline(Duration::from_millis(500));
    let started = Instant::now();
    let error = retry_async(&policy, Repeat::Idempotent, || store.get("key")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(started.elapsed() < Duration::from_millis(900), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_killed_connection_costs_one_call_and_is_replaced() {
    let server = Server::start().unwrap();
    let store = store(&server).await;
    store.set("key", b"1", SetOptions::default()).await.unwrap();
    server.call(&["CLIENT", "KILL", "TYPE", "normal"]).unwrap();
    let mut failed = 0;
    soon("it reconnects", async {
        while store.get("key").await.is_err() {
            failed += 1;
        }
    })
    .await;
    assert!(failed <= 2, "{failed} calls failed");
}

#[tokio::test]
async fn a_subscription_survives_a_restart_and_tells_of_the_gap() {
    let server = Server::start().unwrap();
    let store = store(&server).await;
    let mut news = store.subscribe(&["news"]).await.unwrap();
    store.publish("news", b"before").await.unwrap();
    assert!(matches!(soon("message", news.next_event()).await, Some(Event::Message(m)) if m.payload == "before"));
    server.kill().unwrap();
    assert_eq!(soon("the loss is told", news.next_event()).await, Some(Event::Gap));
    server.restart().unwrap();
    assert_eq!(soon("the mending is told", news.next_event()).await, Some(Event::Gap));
    eventually("it listens again", || async { store.publish("news", b"after").await.is_ok_and(|heard| heard == 1) })
        .await;
    assert_eq!(soon("message", news.next_message()).await.unwrap().payload, "after");
}

#[tokio::test]
async fn a_silent_subscription_link_is_found_and_replaced() {
    let server = Server::start().unwrap();
    let store = store(&server).await;
    let mut news = store.subscribe(&["news"]).await.unwrap();
    server.pause().unwrap();
    assert_eq!(soon("the probe fails", news.next_event()).await, Some(Event::Gap));
    server.resume().unwrap();
    assert_eq!(soon("a new link", news.next_event()).await, Some(Event::Gap));
    eventually("it listens", || async { store.publish("news", b"after").await.is_ok_and(|heard| heard > 0) }).await;
    assert_eq!(soon("message", news.next_message()).await.unwrap().payload, "after");
}

#[tokio::test]
async fn a_lock_on_a_dead_server_is_an_error_and_never_held() {
    let server = Server::start().unwrap();
    let locks = LockManager::new(Arc::new(store(&server).await), LockOptions::default()).unwrap();
    let mut guard = locks.acquire("job", Duration::ZERO).await.unwrap();
    server.kill().unwrap();
    assert!(matches!(locks.try_acquire("job").await, Err(LockError::Store(_))));
    let waited = soon("acquire", locks.acquire("job", Duration::from_secs(60))).await;
    assert!(matches!(waited, Err(LockError::Store(_))));
    let lost = guard.extend(Duration::from_secs(20)).await;
    assert!(matches!(lost, Err(LockError::Store(_))), "not knowing is not losing");
    assert!(guard.is_valid() && guard.remaining() < Duration::from_secs(10));
    assert!(matches!(guard.release().await, Err(LockError::Store(_))));
}

#[tokio::test]
async fn a_dropped_lock_is_released_once_the_server_answers_again() {
    let server = Server::start().unwrap();
    let store = store(&server).await;
    let locks =
        LockManager::new(Arc::new(store.clone()), LockOptions::default().lease(Duration::from_secs(60))).unwrap();
    let guard = locks.acquire("job", Duration::ZERO).await.unwrap();
    // The first attempt to release gets no answer within its deadline.
    server.call(&["CLIENT", "PAUSE", "500"]).unwrap();
    drop(guard);
    eventually("released", || async { !store.exists("lock:{job}").await.unwrap_or(true) }).await;
}

#[tokio::test]
async fn a_limiter_without_its_server_says_so() {
    let server = Server::start().unwrap();
    let store = Arc::new(store(&server).await);
    let limiter = RateLimiter::new(store, Quota::per_hour(1), RateLimitOptions::default()).unwrap();
    server.kill().unwrap();
    assert!(limiter.check("ada").await.unwrap_err().is_temporary());
    server.restart().unwrap();
    eventually("it decides again", || async { limiter.check("ada").await.is_ok() }).await;
}

#[tokio::test]
async fn scripts_survive_a_restart() {
    let server = Server::start().unwrap();
    let store = Arc::new(store(&server).await);
    let limiter = RateLimiter::new(store, Quota::per_hour(1000), RateLimitOptions::default()).unwrap();
    assert!(limiter.check("ada").await.unwrap().is_allowed());
    server.restart().unwrap();
    eventually("reloaded", || async { limiter.check("ada").await.is_ok_and(|decision| decision.is_allowed()) }).await;
}

#[tokio::test]
async fn a_cache_without_its_server_loads() {
    let server = Server::start().unwrap();
    let cache = Cache::<String>::new(Arc::new(store(&server).await), CacheOptions::default()).unwrap();
    let load = || async { Ok::<_, io::Error>(Some("v".to_owned())) };
    server.kill().unwrap();
    assert_eq!(*soon("loads", cache.get_or_load("k", load)).await.unwrap().unwrap(), "v");
    assert!(cache.invalidate("k").await.is_err(), "an invalidation that did not happen must be told");
    assert_eq!((cache.stats().store_errors, cache.stats().loads), (2, 1), "neither read nor invalidated");
    server.restart().unwrap();
    eventually("it caches again", || async {
        cache.get_or_load("k", load).await.unwrap();
        cache.get("k").await.is_ok_and(|found| matches!(found, Lookup::Hit(_)))
    })
    .await;
}

#[tokio::test]
async fn a_server_at_its_memory_limit_is_out_of_memory() {
    let server = Server::with_args(&["--maxmemory", "1", "--maxmemory-policy", "noeviction"]).unwrap();
    let store = store(&server).await;
    let error = store.set("key", b"value", SetOptions::default()).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::OutOfMemory, Executed::No), "{error}");
    let locks = LockManager::new(Arc::new(store.clone()), LockOptions::default()).unwrap();
    let error = locks.try_acquire("job").await.unwrap_err();
    assert!(matches!(&error, LockError::Store(e) if e.kind() == ErrorKind::OutOfMemory), "{error}");
    assert!(store.require_pubsub("test").is_ok());
}

#[tokio::test]
async fn a_transaction_that_was_refused_says_why() {
    let full = Server::with_args(&["--maxmemory", "1", "--maxmemory-policy", "noeviction"]).unwrap();
    let batch: [(&str, &[u8]); 2] = [("a", b"1"), ("b", b"2")];
    let error = store(&full).await.mset(&batch, Some(Duration::from_secs(1))).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::OutOfMemory, Executed::No), "{error}");
    let server = Server::start().unwrap();
    let store = store(&server).await;
    server.call(&["REPLICAOF", "127.0.0.1", "1"]).unwrap();
    let error = store.mset(&batch, Some(Duration::from_secs(1))).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Unavailable, Executed::No), "{error}");
    assert_eq!(store.stats().retired, 1, "a demoted server is left");
}
