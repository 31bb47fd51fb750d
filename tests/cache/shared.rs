//! Several caches on one store, as processes have them.

use super::{Database, cache, with};
use crate::backend::{Backend, eventually, on_every_backend};
use kv_core::SetOptions;
use redis_cache::{Cache, CacheError, CacheOptions, Lookup};
use std::{io, sync::Arc, time::Duration};
use tokio::sync::{Notify, oneshot};

on_every_backend!(
    processes_share_one_load,
    a_large_value_is_fetched_by_those_who_waited,
    one_that_fails_is_followed_by_another,
    one_that_dies_is_followed_by_another,
    a_load_longer_than_its_lease_goes_on,
    who_waits_while_it_is_invalidated_gets_what_is_loaded_after,
    who_joins_after_an_invalidation_elsewhere_gets_what_is_loaded_after,
    an_insert_beats_the_load_under_way,
    a_message_of_an_earlier_load_that_comes_late_is_not_believed,
    no_right_to_load_is_left_behind,
);

struct Load {
    gate: Arc<Notify>,
    caller: tokio::task::JoinHandle<Result<Option<Arc<String>>, CacheError>>,
}

/// A load that has begun, and brings this value when it is told to.
async fn begun(cache: &Cache<String>, db: &Database, value: &'static str) -> Load {
    let (began, begun) = oneshot::channel();
    let (cache, db, gate) = (cache.clone(), db.clone(), Arc::new(Notify::new()));
    let caller = tokio::spawn({
        let gate = gate.clone();
        async move {
            let load = || async move {
                began.send(()).unwrap();
                gate.notified().await;
                db.load(Some(value)).await
            };
            cache.get_or_load("k", load).await
        }
    });
    begun.await.unwrap();
    Load { gate, caller }
}

impl Load {
    async fn lands(self) -> String {
        self.gate.notify_one();
        (*self.caller.await.unwrap().unwrap().unwrap()).clone()
    }
}

/// Callers of a cache that wait for another's load.
async fn waiters(cache: &Cache<String>, db: &Database, value: &'static str) -> Vec<tokio::task::JoinHandle<String>> {
    let waiters: Vec<_> = (0..20)
        .map(|_| {
            let (cache, db) = (cache.clone(), db.clone());
            tokio::spawn(async move {
                let value = cache.get_or_load("k", || db.load(Some(value))).await.unwrap();
                (*value.unwrap()).clone()
            })
        })
        .collect();
    eventually("all but one wait", || async { cache.stats().waiting == 19 }).await;
    waiters
}

async fn lease(backend: &Backend) -> Option<bytes::Bytes> {
    backend.store.get("cache:{k}:load").await.unwrap()
}

/// Waits until somebody has told the holder of the lease that he waits.
async fn waited_for(backend: &Backend) {
    eventually("another process waits", || async { lease(backend).await.is_some_and(|lease| lease.ends_with(b"w")) })
        .await;
}

async fn processes_share_one_load(backend: &Backend) {
    let db = Database::default();
    let first = cache(backend);
    let load = begun(&first, &db, "v").await;
    let others: Vec<_> = (0..3).map(|_| cache(backend)).collect();
    let mut all = Vec::new();
    for other in &others {
        all.extend(waiters(other, &db, "another").await);
    }
    waited_for(backend).await;
    assert_eq!(load.lands().await, "v");
    for waiter in all {
        assert_eq!(waiter.await.unwrap(), "v");
    }
    assert_eq!(db.loads(), 1);
    assert!(others.iter().all(|other| other.stats().loads == 0));
    assert_eq!(lease(backend).await, None);
}

async fn a_large_value_is_fetched_by_those_who_waited(backend: &Backend) {
    let (first, second, db) = (cache(backend), cache(backend), Database::default());
    let large: &'static str = "kettle".repeat(10_000).leak();
    let load = begun(&first, &db, large).await;
    let waiters = waiters(&second, &db, "another").await;
    waited_for(backend).await;
    assert_eq!(load.lands().await, large);
    for waiter in waiters {
        assert_eq!(waiter.await.unwrap(), large);
    }
    assert_eq!(db.loads(), 1);
}

async fn one_that_fails_is_followed_by_another(backend: &Backend) {
    let (first, second, db) = (cache(backend), cache(backend), Database::default());
    let (began, is_begun) = oneshot::channel();
    let gate = Arc::new(Notify::new());
    let fails = tokio::spawn({
        let (first, gate) = (first.clone(), gate.clone());
        async move {
            let load = || async move {
                began.send(()).unwrap();
                gate.notified().await;
                Err(io::Error::other("database is down"))
            };
            first.get_or_load("k", load).await
        }
    });
    is_begun.await.unwrap();
    let waiters = waiters(&second, &db, "v").await;
    waited_for(backend).await;
    gate.notify_one();
    assert!(matches!(fails.await.unwrap(), Err(CacheError::Load(_))));
    for waiter in waiters {
        assert_eq!(waiter.await.unwrap(), "v", "another process' error is not ours");
    }
    assert_eq!(db.loads(), 1);
}

async fn one_that_dies_is_followed_by_another(backend: &Backend) {
    let (cache, db) = (cache(backend), Database::default());
    let lease = SetOptions::default().ttl(Duration::from_millis(100));
    backend.store.set("cache:{k}:load", &[b'd'; 32], lease).await.unwrap();
    for waiter in waiters(&cache, &db, "v").await {
        assert_eq!(waiter.await.unwrap(), "v");
    }
    assert_eq!((db.loads(), cache.stats().raced), (1, 0));
}

async fn a_load_longer_than_its_lease_goes_on(backend: &Backend) {
    let options = CacheOptions::default().lease(Duration::from_millis(1500));
    let (first, second) = (with(backend, options.clone()), with(backend, options));
    let db = Database::default();
    let load = begun(&first, &db, "v").await;
    let waiters = waiters(&second, &db, "another").await;
    // No condition to wait for: that nothing happens for twice as long as the lease is the point.
    tokio::time::sleep(Duration::from_millis(3200)).await;
    assert_eq!((load.lands().await, db.loads()), ("v".to_owned(), 1));
    for waiter in waiters {
        assert_eq!(waiter.await.unwrap(), "v");
    }
}

async fn who_waits_while_it_is_invalidated_gets_what_is_loaded_after(backend: &Backend) {
    let (first, second, db) = (cache(backend), cache(backend), Database::default());
    let load = begun(&first, &db, "old").await;
    let waiters = waiters(&second, &db, "new").await;
    waited_for(backend).await;
    cache(backend).invalidate("k").await.unwrap();
    for waiter in waiters {
        assert_eq!(waiter.await.unwrap(), "new", "nobody waits for what will not be stored");
    }
    assert_eq!(load.lands().await, "old", "who asked before it was invalidated gets what was read");
    assert_eq!(second.get("k").await.unwrap(), Lookup::Hit(Arc::new("new".to_owned())));
    assert_eq!(first.stats().invalidated, 1);
}

async fn who_joins_after_an_invalidation_elsewhere_gets_what_is_loaded_after(backend: &Backend) {
    let (first, second, db) = (cache(backend), cache(backend), Database::default());
    let load = begun(&first, &db, "old").await;
    // Nothing is heard of it here: nobody has listened yet.
    second.invalidate("k").await.unwrap();
    let late = waiters_late(&first, &db, "new").await;
    assert_eq!(load.lands().await, "old");
    for waiter in late {
        assert_eq!(waiter.await.unwrap(), "new");
    }
    assert_eq!((db.loads(), first.stats().invalidated), (2, 1));
}

async fn waiters_late(
    cache: &Cache<String>,
    db: &Database,
    value: &'static str,
) -> Vec<tokio::task::JoinHandle<String>> {
    let waiters: Vec<_> = (0..5)
        .map(|_| {
            let (cache, db) = (cache.clone(), db.clone());
            tokio::spawn(async move {
                let value = cache.get_or_load("k", || db.load(Some(value))).await.unwrap();
                (*value.unwrap()).clone()
            })
        })
        .collect();
    eventually("all wait", || async { cache.stats().waiting == 5 }).await;
    waiters
}

async fn an_insert_beats_the_load_under_way(backend: &Backend) {
    let (first, second, db) = (cache(backend), cache(backend), Database::default());
    let load = begun(&first, &db, "old").await;
    second.insert("k", Some(&"written".to_owned())).await.unwrap();
    assert_eq!(load.lands().await, "old");
    for cache in [&first, &second] {
        assert_eq!(cache.get("k").await.unwrap(), Lookup::Hit(Arc::new("written".to_owned())));
    }
    second.insert("k", None).await.unwrap();
    assert_eq!(first.get_or_load("k", || db.clone().load(Some("v"))).await.unwrap(), None);
    assert_eq!(db.loads(), 1);
}

async fn no_right_to_load_is_left_behind(backend: &Backend) {
    let options = CacheOptions::default().load_timeout(Duration::from_millis(30));
    let cache = with(backend, options);
    let hangs = || std::future::pending::<Result<Option<String>, io::Error>>();
    assert!(matches!(cache.get_or_load("k", hangs).await, Err(CacheError::LoadTimeout)));
    assert_eq!(lease(backend).await, None);
    let panics = || async { if true { panic!("a loader's own fault") } else { Ok::<_, io::Error>(None) } };
    assert!(matches!(cache.get_or_load("k", panics).await, Err(CacheError::LoadAborted)));
    assert_eq!(lease(backend).await, None);
    // One without a time to live is not ours, and nobody waits for it for ever.
    let options = CacheOptions::default().lease(Duration::from_millis(80));
    backend.store.set("cache:{k}:load", b"foreign", SetOptions::default()).await.unwrap();
    let db = Database::default();
    let value = with(backend, options).get_or_load("k", || db.clone().load(Some("v"))).await.unwrap();
    assert_eq!(*value.unwrap(), "v");
}

/// It may tell of what was invalidated since, and before the reader asked.
async fn a_message_of_an_earlier_load_that_comes_late_is_not_believed(backend: &Backend) {
    let (db, pubsub) = (Database::default(), backend.store.pubsub().unwrap());
    let (ours, theirs) = (cache(backend), cache(backend));
    let first = begun(&theirs, &db, "new").await;
    let holder = lease(backend).await.unwrap();
    let reader = waiters(&ours, &db, "loaded twice").await;
    waited_for(backend).await;
    let stored = |token: &[u8], value: &[u8]| {
        let mut entry = [0; 32];
        entry[..5].copy_from_slice(&[0xC1, 1, 1, 0, 2]);
        [b"\x01\x01\x09\x00\x00\x00cache:{k}", token, &entry[..], value].concat()
    };
    let other = "0".repeat(32);
    // Who is not deceived asks again.
    backend.store.set("cache:{k}:load", &holder, SetOptions::default()).await.unwrap();
    pubsub.publish("cache:news", &stored(other.as_bytes(), b"\"old\"")).await.unwrap();
    waited_for(backend).await;
    assert!(reader.iter().all(|reader| !reader.is_finished()));
    pubsub.publish("cache:news", &stored(&holder, b"\"believed\"")).await.unwrap();
    eventually("somebody believes it", || async { reader.iter().any(tokio::task::JoinHandle::is_finished) }).await;
    assert_eq!((first.lands().await, db.loads()), ("new".into(), 1));
    for reader in reader {
        // Those who came late to the flight have looked again.
        assert!(["believed", "new"].contains(&reader.await.unwrap().as_str()));
    }
}
