//! A store that is away.

use super::Database;
use crate::backend::{eventually, soon};
use kv_core::ErrorKind;
use kv_redis::{RedisOptions, RedisStore};
use redis_cache::{BreakerOptions, Cache, CacheError, CacheOptions, Lookup, WhenAway};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use xtask::fixture::Server;

const BUDGET: Duration = Duration::from_millis(50);

async fn on(server: &Server, options: CacheOptions) -> Cache<String> {
    let store = RedisOptions::default().deadline(Duration::from_secs(8));
    let store = RedisStore::connect_with(&server.url(), store).await.unwrap();
    let breaker = BreakerOptions::default().base(Duration::from_millis(200)).cap(Duration::from_millis(400));
    Cache::new(Arc::new(store), options.budget(BUDGET).breaker(breaker)).unwrap()
}

async fn get(cache: &Cache<String>, key: &str, db: &Database) -> Result<String, CacheError> {
    let value = cache.get_or_load(key, || db.clone().load(Some("v"))).await?;
    Ok((*value.unwrap()).clone())
}

#[tokio::test]
async fn a_paused_server_costs_a_few_budgets_and_then_none() {
    let server = Server::start().unwrap();
    let (cache, db) = (on(&server, CacheOptions::default()).await, Database::default());
    get(&cache, "k", &db).await.unwrap();
    server.pause().unwrap();
    let started = Instant::now();
    for key in 0..1000 {
        assert_eq!(get(&cache, &key.to_string(), &db).await.unwrap(), "v");
    }
    // Five budgets, and a probe now and then: not 1000.
    assert!(started.elapsed() < BUDGET * 100, "{:?}", started.elapsed());
    assert_eq!(db.loads(), 1001);
    server.resume().unwrap();
    eventually("it is asked again", || async { get(&cache, "k", &db).await.is_ok() }).await;
    eventually("it hits again", || async { cache.get("k").await.is_ok_and(|found| matches!(found, Lookup::Hit(_))) })
        .await;
}

#[tokio::test]
async fn a_database_is_spared_where_that_is_asked_for() {
    let server = Server::start().unwrap();
    let (cache, db) = (on(&server, CacheOptions::default().when_away(WhenAway::Fail)).await, Database::default());
    get(&cache, "k", &db).await.unwrap();
    server.kill().unwrap();
    for key in 0..100 {
        let error = soon("fails", get(&cache, &key.to_string(), &db)).await.unwrap_err();
        assert!(matches!(&error, CacheError::Store(_)) && error.is_temporary(), "{error:?}");
    }
    assert_eq!(db.loads(), 1);
    server.restart().unwrap();
    eventually("it loads again", || async { get(&cache, "k", &db).await.is_ok() }).await;
}

#[tokio::test]
async fn a_server_at_its_memory_limit_serves_what_it_has() {
    let server = Server::start().unwrap();
    let (cache, db) = (on(&server, CacheOptions::default()).await, Database::default());
    get(&cache, "k", &db).await.unwrap();
    server.call(&["CONFIG", "SET", "maxmemory", "1", "maxmemory-policy", "noeviction"]).unwrap();
    assert_eq!((get(&cache, "k", &db).await.unwrap(), db.loads()), ("v".to_owned(), 1));
    assert_eq!((get(&cache, "other", &db).await.unwrap(), db.loads()), ("v".to_owned(), 2));
    cache.invalidate("k").await.unwrap();
    assert_eq!(cache.get("k").await.unwrap(), Lookup::Miss, "what is invalidated goes all the same");
    let error = cache.insert("k", Some(&"v".to_owned())).await.unwrap_err();
    assert!(matches!(error, CacheError::Store(error) if error.kind() == ErrorKind::OutOfMemory));
}

#[tokio::test]
async fn scripts_that_are_flushed_and_links_that_are_cut_lose_nothing() {
    let server = Server::start().unwrap();
    let (first, second, db) =
        (on(&server, CacheOptions::default()).await, on(&server, CacheOptions::default()).await, Database::default());
    for round in 0..10 {
        let key = round.to_string();
        // One of them waits for the other's load, and hears of it.
        let both = async { tokio::join!(get(&first, &key, &db), get(&second, &key, &db)) };
        let faults = async {
            server.call(&["SCRIPT", "FLUSH"]).unwrap();
            server.call(&["CLIENT", "KILL", "TYPE", "pubsub"]).unwrap();
        };
        let ((a, b), ()) = tokio::join!(both, faults);
        assert_eq!((a.unwrap(), b.unwrap()), ("v".to_owned(), "v".to_owned()));
    }
    assert_eq!(server.call(&["KEYS", "*:load"]).unwrap(), server.call(&["KEYS", "nothing"]).unwrap());
}
