//! What is served past its TTL, and what is loaded ahead of it.

use super::{Database, with};
use crate::backend::{Backend, eventually, on_every_backend};
use redis_cache::{Cache, CacheError, CacheOptions, Lookup};
use std::{io, sync::Arc, time::Duration};
use tokio::sync::Notify;

on_every_backend!(
    a_stale_value_is_served_while_it_is_loaded_anew,
    a_stale_value_is_served_if_its_load_fails,
    a_failed_load_is_not_repeated_at_once,
    a_stale_value_is_served_if_its_load_takes_long,
    an_invalidated_value_is_not_served_stale,
    a_value_near_its_end_is_loaded_ahead_once,
);

const TTL: Duration = Duration::from_millis(100);

fn options() -> CacheOptions {
    CacheOptions::default().ttl(TTL).ttl_jitter(0.0).early_refresh(0.0)
}

/// Past the TTL, in a process that asks the server what time it is.
async fn later(backend: &Backend, options: &CacheOptions) -> Cache<String> {
    backend.pass(TTL * 2).await;
    with(backend, options.clone())
}

async fn get(cache: &Cache<String>, db: &Database, value: &'static str) -> String {
    let value = cache.get_or_load("k", || db.clone().load(Some(value))).await.unwrap();
    (*value.unwrap()).clone()
}

async fn fail(cache: &Cache<String>, db: &Database) -> Result<Option<Arc<String>>, CacheError> {
    let load = || {
        let db = db.clone();
        async move {
            db.load(None).await?;
            Err(io::Error::other("database is down"))
        }
    };
    cache.get_or_load("k", load).await
}

async fn a_stale_value_is_served_while_it_is_loaded_anew(backend: &Backend) {
    let options = options().stale_while_revalidate(Duration::from_secs(60));
    let (db, gate) = (Database::default(), Arc::new(Notify::new()));
    assert_eq!(get(&with(backend, options.clone()), &db, "old").await, "old");
    let cache = later(backend, &options).await;
    for _ in 0..10 {
        let (db, gate) = (db.clone(), gate.clone());
        let load = || async move {
            gate.notified().await;
            db.load(Some("new")).await
        };
        assert_eq!(*cache.get_or_load("k", load).await.unwrap().unwrap(), "old", "nobody waits");
    }
    gate.notify_one();
    let new = Lookup::Hit(Arc::new("new".to_owned()));
    eventually("it is loaded anew", || async { cache.get("k").await.unwrap() == new }).await;
    assert_eq!(db.loads(), 2, "once for all who were served meanwhile");
}

async fn a_stale_value_is_served_if_its_load_fails(backend: &Backend) {
    let options = options().stale_if_error(Duration::from_secs(60)).error_backoff(Duration::ZERO);
    let (cache, db) = (with(backend, options.clone()), Database::default());
    assert!(fail(&cache, &db).await.is_err(), "there is nothing to serve");
    get(&cache, &db, "old").await;
    let cache = later(backend, &options).await;
    assert_eq!(cache.get("k").await.unwrap(), Lookup::Miss, "it is served instead of an error, not instead of a load");
    assert_eq!(*fail(&cache, &db).await.unwrap().unwrap(), "old");
    assert_eq!(get(&cache, &db, "new").await, "new");
    assert_eq!((db.loads(), cache.stats().stale), (4, 1));
}

async fn a_failed_load_is_not_repeated_at_once(backend: &Backend) {
    let options = options().stale_if_error(Duration::from_secs(60)).error_backoff(Duration::from_secs(30));
    let db = Database::default();
    get(&with(backend, options.clone()), &db, "old").await;
    let (ours, theirs) = (later(backend, &options).await, with(backend, options));
    for _ in 0..10 {
        assert_eq!(*fail(&ours, &db).await.unwrap().unwrap(), "old");
        assert_eq!(*fail(&theirs, &db).await.unwrap().unwrap(), "old", "in other processes neither");
    }
    assert_eq!(db.loads(), 2);
    // Whoever has changed it wants it loaded.
    ours.invalidate("k").await.unwrap();
    assert_eq!(get(&ours, &db, "new").await, "new");
}

async fn a_stale_value_is_served_if_its_load_takes_long(backend: &Backend) {
    let options = options().stale_if_error(Duration::from_secs(60)).soft_timeout(Duration::from_millis(20));
    let (db, gate) = (Database::default(), Arc::new(Notify::new()));
    get(&with(backend, options.clone()), &db, "old").await;
    let cache = later(backend, &options).await;
    for _ in 0..3 {
        let (db, gate) = (db.clone(), gate.clone());
        let load = || async move {
            gate.notified().await;
            db.load(Some("new")).await
        };
        assert_eq!(*cache.get_or_load("k", load).await.unwrap().unwrap(), "old");
    }
    gate.notify_one();
    let new = Lookup::Hit(Arc::new("new".to_owned()));
    eventually("the load went on", || async { cache.get("k").await.unwrap() == new }).await;
    assert_eq!(db.loads(), 2);
}

async fn an_invalidated_value_is_not_served_stale(backend: &Backend) {
    let options = options().stale_while_revalidate(Duration::from_secs(60)).stale_if_error(Duration::from_secs(60));
    let db = Database::default();
    get(&with(backend, options.clone()), &db, "old").await;
    let cache = later(backend, &options).await;
    cache.invalidate("k").await.unwrap();
    assert!(fail(&cache, &db).await.is_err());
    assert_eq!(get(&cache, &db, "new").await, "new");
}

async fn a_value_near_its_end_is_loaded_ahead_once(backend: &Backend) {
    let ttl = Duration::from_secs(30);
    // So eager that any value that took a millisecond is near its end.
    let eager = CacheOptions::default().ttl(ttl).ttl_jitter(0.0).early_refresh(100.0);
    let (cache, db, gate) = (with(backend, eager), Database::default(), Arc::new(Notify::new()));
    let slow = |value: &'static str, gate: Option<Arc<Notify>>| {
        let db = db.clone();
        move || async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if let Some(gate) = gate {
                gate.notified().await;
            }
            db.load(Some(value)).await
        }
    };
    cache.get_or_load("k", slow("old", None)).await.unwrap();
    backend.pass(Duration::from_millis(100)).await;
    let mut reads = 0;
    // Each read begins with a chance of about one in twenty.
    while cache.stats().loads < 2 {
        let value = cache.get_or_load("k", slow("new", Some(gate.clone()))).await.unwrap();
        assert_eq!(*value.unwrap(), "old");
        reads += 1;
        assert!(reads < 10_000);
        tokio::task::yield_now().await;
    }
    for _ in 0..200 {
        assert_eq!(*cache.get_or_load("k", slow("new", Some(gate.clone()))).await.unwrap().unwrap(), "old");
    }
    assert_eq!(cache.stats().loads, 2, "one at a time");
    gate.notify_one();
    let new = Lookup::Hit(Arc::new("new".to_owned()));
    eventually("it is loaded anew", || async { cache.get("k").await.unwrap() == new }).await;
}
