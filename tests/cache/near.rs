//! What is kept in the process.

use super::{Database, with};
use crate::backend::{Backend, eventually, on_every_backend, patient};
use kv_redis::RedisStore;
use redis_cache::{Cache, CacheOptions, Lookup, NearOptions};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use xtask::fixture::Server;

on_every_backend!(
    what_was_read_is_kept_and_shared,
    an_invalidation_here_is_seen_at_once_and_elsewhere_soon,
    what_is_inserted_elsewhere_is_seen_soon,
    an_absence_is_kept_too,
    a_tag_forgets_what_is_kept,
    no_race_leaves_anything_stale,
    a_foreign_writer_is_heard_if_that_is_asked_for,
    a_foreign_invalidation_amid_a_load_leaves_nothing_behind,
);

fn near(backend: &Backend) -> Cache<String> {
    with(backend, CacheOptions::default().near(NearOptions::default()))
}

async fn get(cache: &Cache<String>, key: &str, db: &Database, value: &'static str) -> Arc<String> {
    cache.get_or_load(key, || db.clone().load(Some(value))).await.unwrap().unwrap()
}

/// Reads until it is answered from the process, which begins once it is heard what others invalidate.
async fn kept(cache: &Cache<String>, key: &str) -> Arc<String> {
    let db = Database::default();
    eventually("it is kept", || async {
        let before = cache.stats().near_hits;
        get(cache, key, &db, "loaded again").await;
        cache.stats().near_hits > before
    })
    .await;
    get(cache, key, &db, "loaded again").await
}

async fn what_was_read_is_kept_and_shared(backend: &Backend) {
    let (cache, db) = (near(backend), Database::default());
    get(&cache, "k", &db, "v").await;
    let first = kept(&cache, "k").await;
    // Nobody asks the store.
    backend.store.set("cache:{k}", b"what nobody sees", Default::default()).await.unwrap();
    let second = get(&cache, "k", &db, "another").await;
    assert!(*first == "v" && Arc::ptr_eq(&first, &second), "the same value, decoded once");
    let stats = cache.stats();
    assert!(stats.near_entries == 1 && stats.near_bytes > 100 && stats.near_evictions == 0, "{stats:?}");
    assert_eq!((db.loads(), cache.get("k").await.unwrap()), (1, Lookup::Hit(first)));
}

async fn an_invalidation_here_is_seen_at_once_and_elsewhere_soon(backend: &Backend) {
    let (ours, theirs, db) = (near(backend), near(backend), Database::default());
    get(&ours, "k", &db, "old").await;
    kept(&ours, "k").await;
    kept(&theirs, "k").await;
    ours.invalidate("k").await.unwrap();
    assert_eq!(ours.get("k").await.unwrap(), Lookup::Miss);
    eventually("it is heard", || async { theirs.get("k").await.unwrap() == Lookup::Miss }).await;
    assert_eq!(*get(&theirs, "k", &db, "new").await, "new");
}

async fn what_is_inserted_elsewhere_is_seen_soon(backend: &Backend) {
    let (ours, theirs, db) = (near(backend), near(backend), Database::default());
    get(&ours, "a{}%b", &db, "old").await;
    kept(&ours, "a{}%b").await;
    theirs.insert("a{}%b", Some(&"new".to_owned())).await.unwrap();
    eventually("it is heard", || async { *get(&ours, "a{}%b", &db, "loaded").await == "new" }).await;
    theirs.update("a{}%b", || async { Ok::<_, std::io::Error>(()) }).await.unwrap();
    eventually("it is heard", || async { *get(&ours, "a{}%b", &db, "loaded").await == "loaded" }).await;
}

async fn an_absence_is_kept_too(backend: &Backend) {
    let (cache, db) = (near(backend), Database::default());
    eventually("it is kept", || async {
        assert_eq!(cache.get_or_load("k", || db.clone().load(None)).await.unwrap(), None);
        cache.stats().near_hits > 0
    })
    .await;
    assert_eq!((cache.get("k").await.unwrap(), db.loads()), (Lookup::Null, 1));
}

async fn a_tag_forgets_what_is_kept(backend: &Backend) {
    let (ours, theirs, db) = (near(backend), near(backend), Database::default());
    let tagged = ours.tagged(&["red"]).unwrap();
    let read = || async { tagged.get_or_load("k", || db.clone().load(Some("v"))).await.unwrap().unwrap() };
    read().await;
    kept(&ours, "k").await;
    theirs.invalidate_tag("red").await.unwrap();
    eventually("it is heard", || async { ours.get("k").await.unwrap() == Lookup::Miss }).await;
    read().await;
    kept(&ours, "k").await;
    ours.invalidate_tag("red").await.unwrap();
    assert_eq!(ours.get("k").await.unwrap(), Lookup::Miss);
}

fn tracking(backend: &Backend) -> Cache<String> {
    with(backend, CacheOptions::default().near(NearOptions::default().tracking(true)))
}

async fn a_foreign_writer_is_heard_if_that_is_asked_for(backend: &Backend) {
    let (cache, db, store) = (tracking(backend), Database::default(), &backend.store);
    get(&cache, "a{}%b", &db, "old").await;
    get(&cache, "other", &db, "other").await;
    kept(&cache, "a{}%b").await;
    kept(&cache, "other").await;
    store.delete(&["cache:{a%7B%7D%25b}"]).await.unwrap();
    eventually("it is heard", || async { cache.get("a{}%b").await.unwrap() == Lookup::Miss }).await;
    let before = cache.stats().near_hits;
    assert_eq!(*get(&cache, "other", &db, "loaded").await, "other");
    assert_eq!(cache.stats().near_hits, before + 1, "one key is one key");
    // What is no entry of this version is loaded again.
    store.set("cache:{other}", b"foreign", Default::default()).await.unwrap();
    eventually("it is heard", || async { *get(&cache, "other", &db, "new").await == "new" }).await;
    kept(&cache, "other").await;
}

/// `DEL` of both keys is all it takes to invalidate from elsewhere.
async fn a_foreign_invalidation_amid_a_load_leaves_nothing_behind(backend: &Backend) {
    let (ours, theirs) = (tracking(backend), tracking(backend));
    for cache in [&ours, &theirs] {
        get(cache, "warm", &Database::default(), "v").await;
        kept(cache, "warm").await;
    }
    let rounds: u64 = if backend.is_memory() { 1000 } else { 200 };
    let row = Arc::new(AtomicU64::new(0));
    let load = || {
        let row = row.clone();
        move || async move {
            let value = row.load(Ordering::SeqCst);
            tokio::task::yield_now().await;
            Ok::<_, std::io::Error>(Some(value.to_string()))
        }
    };
    for round in 0..rounds {
        let key = (round % 50).to_string();
        let writer = async {
            row.fetch_add(1, Ordering::SeqCst);
            let (entry, lease) = (format!("cache:{{{key}}}"), format!("cache:{{{key}}}:load"));
            backend.store.delete(&[&entry, &lease]).await.unwrap();
        };
        let (a, b, ()) = tokio::join!(ours.get_or_load(&key, load()), theirs.get_or_load(&key, load()), writer);
        a.unwrap();
        b.unwrap();
    }
    nothing_is_left_of_before(&[ours, theirs], rounds, load).await;
}

#[tokio::test]
async fn what_cannot_be_tracked_is_not_kept() {
    let server = Server::start().unwrap();
    let store = Arc::new(RedisStore::connect_with(&server.url(), patient()).await.unwrap());
    let options = CacheOptions::default().near(NearOptions::default().tracking(true)).budget(Duration::from_secs(8));
    let (cache, db) = (Cache::<String>::new(store, options).unwrap(), Database::default());
    get(&cache, "k", &db, "v").await;
    kept(&cache, "k").await;
    server.call(&["ACL", "SETUSER", "default", "-client|tracking"]).unwrap();
    for id in crate::tracking::trackers(&server) {
        server.call(&["CLIENT", "KILL", "ID", &id]).unwrap();
    }
    eventually("it is asked for each time", || async {
        let before = cache.stats();
        get(&cache, "k", &db, "v").await;
        cache.stats().near_hits == before.near_hits
    })
    .await;
    server.call(&["DEL", "cache:{k}"]).unwrap();
    assert_eq!(cache.get("k").await.unwrap(), Lookup::Miss);
    server.call(&["ACL", "SETUSER", "default", "+client|tracking"]).unwrap();
    get(&cache, "k", &db, "v").await;
    kept(&cache, "k").await;
}

/// Reads that race an invalidation, from two processes; soon after, nobody has what was there before.
async fn no_race_leaves_anything_stale(backend: &Backend) {
    let (ours, theirs) = (near(backend), near(backend));
    for cache in [&ours, &theirs] {
        get(cache, "warm", &Database::default(), "v").await;
        kept(cache, "warm").await;
    }
    let rounds: u64 = if backend.is_memory() { 1000 } else { 200 };
    let row = Arc::new(AtomicU64::new(0));
    let load = || {
        let row = row.clone();
        move || async move { Ok::<_, std::io::Error>(Some(row.load(Ordering::SeqCst).to_string())) }
    };
    for round in 0..rounds {
        let key = (round % 50).to_string();
        let writer = async {
            row.fetch_add(1, Ordering::SeqCst);
            theirs.invalidate(&key).await.unwrap();
        };
        let (a, b, ()) = tokio::join!(ours.get_or_load(&key, load()), theirs.get_or_load(&key, load()), writer);
        a.unwrap();
        b.unwrap();
    }
    nothing_is_left_of_before(&[ours, theirs], rounds, load).await;
}

/// Soon all has been heard; in a cluster what one node tells may overtake what another told.
async fn nothing_is_left_of_before<F, Fut>(caches: &[Cache<String>], rounds: u64, load: impl Fn() -> F)
where
    F: FnOnce() -> Fut,
    Fut: Future<Output = Result<Option<String>, std::io::Error>> + Send + 'static,
{
    for key in 0..50 {
        let last = (0..rounds).filter(|round| round % 50 == key).max().unwrap() + 1;
        for cache in caches {
            eventually("all is heard", || async {
                let value = cache.get_or_load(&key.to_string(), load()).await.unwrap().unwrap();
                value.parse::<u64>().unwrap() >= last
            })
            .await;
        }
    }
}

#[tokio::test]
async fn nothing_is_served_from_the_process_while_nothing_is_heard() {
    let server = Server::start().unwrap();
    let store = Arc::new(RedisStore::connect_with(&server.url(), patient()).await.unwrap());
    let options = CacheOptions::default().near(NearOptions::default()).budget(Duration::from_secs(8));
    let (cache, db) = (Cache::<String>::new(store, options).unwrap(), Database::default());
    get(&cache, "k", &db, "v").await;
    kept(&cache, "k").await;
    for _ in 0..3 {
        // What another process does meanwhile is not heard.
        server.call(&["CLIENT", "KILL", "TYPE", "pubsub"]).unwrap();
        server.call(&["DEL", "cache:{k}"]).unwrap();
        eventually("it is asked for again", || async { cache.get("k").await.unwrap() == Lookup::Miss }).await;
        get(&cache, "k", &db, "v").await;
        kept(&cache, "k").await;
    }
    server.kill().unwrap();
    let before = cache.stats().loads;
    eventually("it loads", || async {
        let _ = cache.get_or_load("k", || db.clone().load(Some("v"))).await;
        cache.stats().loads > before
    })
    .await;
}
