//! A pool: connections that one call has to itself.

use crate::backend::{eventually, soon};
use kv_core::{ErrorKind, Executed, KvStore, SetOptions};
use kv_redis::{PoolOptions, RedisOptions, RedisStore};
use std::time::{Duration, Instant};
use xtask::fixture::{Proxy, Server};

async fn pooled(url: &str, pool: PoolOptions) -> RedisStore {
    let options = RedisOptions::default().deadline(Duration::from_secs(1)).pool(pool);
    RedisStore::connect_with(url, options).await.unwrap()
}

#[tokio::test]
async fn it_opens_its_minimum_at_once_and_never_more_than_its_maximum() {
    let server = Server::start().unwrap();
    let proxy = Proxy::to(server.port()).unwrap();
    let store = pooled(&proxy.url(), PoolOptions::default().min(2).max(4)).await;
    assert_eq!(proxy.accepted(), 2);
    let calls = (0..200).map(|at| {
        let store = store.clone();
        tokio::spawn(async move { store.set(&format!("key{at}"), b"1", SetOptions::default()).await })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }
    assert!(proxy.accepted() <= 4, "{}", proxy.accepted());
    assert!(store.stats().waited > 0);
}

#[tokio::test]
async fn a_call_without_a_connection_fails_in_time_and_was_not_sent() {
    let server = Server::start().unwrap();
    let pool = PoolOptions::default().max(1).acquire_timeout(Duration::from_millis(50));
    let store = pooled(&server.url(), pool).await;
    server.pause().unwrap();
    let (slow, fast) = tokio::join!(store.incr_by("counter", 1), async {
        let started = Instant::now();
        let error = store.incr_by("counter", 1).await.unwrap_err();
        (error, started.elapsed())
    });
    assert_eq!(slow.unwrap_err().executed(), Executed::Maybe);
    let (error, waited) = fast;
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Unavailable, Executed::No), "{error}");
    assert!(waited < Duration::from_millis(200), "{waited:?}");
    assert_eq!((store.stats().waited, store.stats().wait_failed), (1, 1));
    server.resume().unwrap();
    eventually("executed once", || async { store.get("counter").await.is_ok_and(|value| value.unwrap() == "1") }).await;
}

#[tokio::test]
async fn dropped_calls_give_their_place_back() {
    let server = Server::start().unwrap();
    let store = pooled(&server.url(), PoolOptions::default().max(2)).await;
    for _ in 0..50 {
        let _ = tokio::time::timeout(Duration::ZERO, store.get("key")).await;
    }
    soon("not exhausted", store.get("key")).await.unwrap();
}

#[tokio::test]
async fn it_comes_back_after_a_restart() {
    let server = Server::start().unwrap();
    let store = pooled(&server.url(), PoolOptions::default().min(3).max(3)).await;
    server.restart().unwrap();
    let started = Instant::now();
    eventually("works", || async { store.get("key").await.is_ok() }).await;
    assert!(started.elapsed() < Duration::from_secs(1));
    for _ in 0..10 {
        store.get("key").await.unwrap();
    }
}

#[tokio::test]
async fn sizes_that_cannot_work_are_refused_by_name() {
    let zero = Duration::ZERO;
    let pool = PoolOptions::default();
    for (pool, field) in
        [(pool.max(0), "pool.max"), (pool.min(17), "pool.min"), (pool.acquire_timeout(zero), "acquire_timeout")]
    {
        let error =
            RedisStore::connect_with("redis://127.0.0.1:1", RedisOptions::default().pool(pool)).await.unwrap_err();
        assert!(error.kind() == ErrorKind::InvalidConfig && error.to_string().contains(field), "{error}");
    }
}

#[tokio::test]
async fn a_pool_that_the_network_has_forgotten_costs_one_call() {
    let server = Server::start().unwrap();
    let proxy = Proxy::to(server.port()).unwrap();
    let store = pooled(&proxy.url(), PoolOptions::default().min(8)).await;
    proxy.black_hole_existing();
    store.get("key").await.unwrap_err();
    store.get("key").await.unwrap();
}
