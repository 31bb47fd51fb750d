use crate::{backend::Backend, scripted::Scripted};
use kv_core::{Error, ErrorKind, KvStore, MemoryStore, Result, SetOptions};
use kv_redis::{RedisOptions, RedisStore};
use redis_cache::{Cache, CacheOptions, HotKeyOptions, NearOptions};
use redis_compress::{CompressOptions, Compressor};
use redis_lock::{LockManager, LockOptions};
use redis_ratelimit::{Quota, RateLimitOptions, RateLimiter};
use std::{sync::Arc, time::Duration};
use xtask::fixture::Server;

fn memory() -> Arc<dyn KvStore> {
    Arc::new(MemoryStore::new())
}

/// Refused at construction, with an error that names the field.
fn names<T>(built: Result<T>, field: &str) {
    let error = built.err().expect("must be refused");
    assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
    assert!(error.to_string().contains(field), "{error} names {field}");
}

#[tokio::test]
async fn options_that_cannot_be_are_refused_by_name() {
    let lock = |options| LockManager::new(memory(), options);
    names(lock(LockOptions::default().lease(Duration::ZERO)), "lease");
    names(lock(LockOptions::default().max_lease(Duration::ZERO)), "max_lease");
    names(lock(LockOptions::default().claim(Duration::ZERO)), "claim");
    names(lock(LockOptions::default().label("a:b")), "label");
    names(lock(LockOptions::default().prefix("")), "prefix");
    names(lock(LockOptions::default().prefix("a{b")), "prefix");

    let limiter = |quota| RateLimiter::new(memory(), quota, RateLimitOptions::default());
    names(limiter(Quota::per_second(0)), "quota");
    names(limiter(Quota::per_second(1).burst(0)), "burst");
    names(limiter(Quota::per(1, Duration::ZERO)), "period");
    names(limiter(Quota::per(1, Duration::MAX)), "burst");
    names(limiter(Quota::per_second(1).burst(u64::MAX)), "burst");
    names(limiter(Quota::per(u64::MAX, Duration::from_nanos(1)).burst(1)), "quota");
    names(RateLimiter::new(memory(), Quota::per_second(1), RateLimitOptions::default().prefix("}")), "prefix");

    let cache = |options| Cache::<String>::new(memory(), options);
    names(cache(CacheOptions::default().ttl(Duration::ZERO)), "ttl");
    names(cache(CacheOptions::default().negative_ttl(Duration::ZERO)), "negative_ttl");
    names(cache(CacheOptions::default().load_timeout(Duration::ZERO)), "load_timeout");
    names(cache(CacheOptions::default().ttl_jitter(1.5)), "ttl_jitter");
    names(cache(CacheOptions::default().ttl_jitter(f64::NAN)), "ttl_jitter");
    names(cache(CacheOptions::default().prefix("")), "prefix");
    names(cache(CacheOptions::default().near(NearOptions::default().hot_only(true))), "hot_only");
    let hot = |options| cache(CacheOptions::default().hot_keys(options));
    names(hot(HotKeyOptions::default().tracked(0)), "tracked");
    names(hot(HotKeyOptions::default().rate(f64::NAN)), "rate");
    names(hot(HotKeyOptions::default().half_life(Duration::ZERO)), "half_life");
    names(hot(HotKeyOptions::default().sample(0)), "sample");

    names(Compressor::new(CompressOptions::default().level(0)), "level");
    names(Compressor::new(CompressOptions::default().level(10)), "level");
    names(Compressor::new(CompressOptions::default().min_saving_percent(100)), "min_saving_percent");
    names(Compressor::new(CompressOptions::default().max_decompressed(0)), "max_decompressed");

    let zero = RedisOptions::default().deadline(Duration::ZERO);
    names(RedisStore::connect_with("redis://127.0.0.1:1", zero).await, "deadline");
}

#[test]
fn a_lock_manager_outside_of_a_runtime_is_an_error_and_no_panic() {
    names(LockManager::new(memory(), LockOptions::default()), "runtime");
}

#[tokio::test]
async fn what_is_no_redis_url_is_refused() {
    for url in ["", "127.0.0.1:6380", "http://127.0.0.1", "redis://", "redis://127.0.0.1:99999", "redis://127.0.0.1/db"]
    {
        let error = RedisStore::connect(url).await.expect_err(url);
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{url:?}: {error}");
    }
}

#[tokio::test]
async fn nobody_there_is_unavailable_at_once() {
    let port = Server::start().unwrap().port();
    let started = std::time::Instant::now();
    let error = RedisStore::connect(&format!("redis://127.0.0.1:{port}")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.is_retryable());
    assert!(started.elapsed() < Duration::from_millis(900));
}

#[tokio::test]
async fn wrong_credentials_are_an_auth_error_that_shows_no_password() {
    let server = Server::with_args(&["--requirepass", "correct-horse"]).unwrap();
    let at = |user: &str| format!("redis://{user}127.0.0.1:{}", server.port());
    for user in ["", ":battery-staple@", "nobody:battery-staple@"] {
        let error = match RedisStore::connect(&at(user)).await {
            // Without a password the server lets anyone connect, and do nothing.
            Ok(store) => store.get("key").await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.kind(), ErrorKind::Auth, "{user:?}: {error}");
        assert!(!error.is_temporary());
        assert!(!format!("{error} {error:?}").contains("battery"), "{error:?}");
    }
    let store = RedisStore::connect(&at(":correct-horse@")).await.unwrap();
    assert!(store.set("key", b"value", SetOptions::default()).await.unwrap());
    assert!(!format!("{store:?}").contains("horse"));
}

#[tokio::test]
async fn every_way_to_connect_reaches_the_server() {
    let server = Server::with_args(&["--unixsocket", "redis.sock"]).unwrap();
    let (tcp, socket) = (server.url(), server.dir().join("redis.sock"));
    let client = kv_redis::redis::Client::open(&*tcp).unwrap();
    let managed = client.get_connection_manager().await.unwrap();
    let stores: [Arc<dyn KvStore>; 4] = [
        Arc::new(RedisStore::connect(&tcp).await.unwrap()),
        Arc::new(RedisStore::connect(&format!("unix://{}", socket.display())).await.unwrap()),
        Arc::new(RedisStore::connect(&format!("{tcp}/1?protocol=resp3")).await.unwrap()),
        Arc::new(RedisStore::from_connection(managed)),
    ];
    for (at, store) in stores.iter().enumerate() {
        store.set("key", at.to_string().as_bytes(), SetOptions::default()).await.unwrap();
    }
    let mut seen = Vec::new();
    for store in &stores {
        seen.push(store.get("key").await.unwrap().unwrap());
    }
    assert_eq!(seen, ["3", "3", "2", "3"], "the third is in a database of its own");
}

#[tokio::test]
async fn a_store_without_scripts_is_refused_at_construction() {
    let plain = Scripted::by(Arc::new(MemoryStore::new()), None::<MemoryStore>);
    let refusals: [Error; 3] = [
        LockManager::new(plain.clone(), LockOptions::default()).unwrap_err(),
        RateLimiter::new(plain.clone(), Quota::per_second(1), RateLimitOptions::default()).unwrap_err(),
        Cache::<String>::new(plain, CacheOptions::default()).unwrap_err(),
    ];
    for error in refusals {
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}

#[tokio::test]
async fn a_borrowed_connection_has_no_pubsub_until_it_is_told_where() {
    let backend = Backend::redis("").await;
    let url = backend.server.as_ref().unwrap().url();
    let client = kv_redis::redis::Client::open(&*url).unwrap();
    let store = RedisStore::from_connection(client.get_multiplexed_async_connection().await.unwrap());
    assert!(
        store.pubsub().is_none() && store.scan().is_none() && store.blocking().is_none() && store.tracking().is_none()
    );
    let store = store.with_url(&url).await.unwrap();
    assert!(
        store.pubsub().is_some() && store.scan().is_some() && store.blocking().is_some() && store.tracking().is_some()
    );
}
