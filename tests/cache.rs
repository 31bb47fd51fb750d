use crate::backend::{Backend, eventually, on_every_backend};
use bytes::Bytes;
use kv_core::{ErrorKind, MessagePack, Raw, SetOptions, Ttl};
use redis_cache::{Cache, CacheError, CacheOptions, Lookup};
use redis_compress::{CompressOptions, Compressor};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Notify, oneshot};

mod away;
mod golden;
mod history;
mod hot;
mod many;
mod mutants;
mod near;
#[cfg(feature = "obs")]
mod observed;
mod overload;
mod parts;
mod shared;
mod stale;
mod tags;
mod update;
mod versions;

on_every_backend!(
    a_value_is_loaded_once_and_then_served,
    an_absence_is_known_and_is_not_a_value,
    concurrent_callers_share_one_load,
    a_load_survives_its_first_caller,
    an_error_reaches_every_waiter_and_is_not_cached,
    a_panic_reaches_every_waiter,
    a_loader_that_hangs_is_dropped,
    invalidation_forgets_the_value,
    a_load_that_began_before_an_invalidation_is_not_stored,
    a_forgotten_load_does_not_end_the_next_one,
    another_process_invalidates_a_load_under_way,
    what_does_not_decode_is_loaded_again,
    another_type_of_value_is_an_error,
    another_codec_is_a_miss_and_is_replaced,
    values_are_compressed_on_their_way,
    ttls_are_shortened_and_never_prolonged,
    a_process_that_dies_while_loading_is_waited_for_until_its_lease_ends,
    what_a_guard_knows_to_be_absent_is_not_loaded,
);

/// A database that counts.
#[derive(Clone, Default)]
struct Database(Arc<AtomicU32>);

impl Database {
    async fn load(self, value: Option<&str>) -> Result<Option<String>, io::Error> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(value.map(str::to_owned))
    }

    fn loads(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

fn cache(backend: &Backend) -> Cache<String> {
    with(backend, CacheOptions::default())
}

fn with(backend: &Backend, options: CacheOptions) -> Cache<String> {
    // What is tested here is not how soon a cache goes on without its store.
    Cache::new(backend.store.clone(), options.budget(Duration::from_secs(8))).unwrap()
}

async fn a_value_is_loaded_once_and_then_served(backend: &Backend) {
    let (cache, db) = (cache(backend), Database::default());
    for _ in 0..3 {
        let value = cache.get_or_load("k", || db.clone().load(Some("v"))).await.unwrap();
        assert_eq!(*value.unwrap(), "v");
    }
    assert_eq!(db.loads(), 1);
    assert_eq!(cache.get("k").await.unwrap(), Lookup::Hit(Arc::new("v".to_owned())));
    assert_eq!(cache.get("absent").await.unwrap(), Lookup::Miss);
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.loads, stats.joined), (3, 1, 1, 0));
    assert_eq!((stats.reads(), stats.hit_ratio()), (5, 0.6));
    assert!(!backend.store.exists("cache:{k}:load").await.unwrap(), "the right to store is given back");
}

async fn an_absence_is_known_and_is_not_a_value(backend: &Backend) {
    let options = CacheOptions::default().negative_ttl(Duration::from_millis(200)).ttl_jitter(0.0);
    let (cache, db) = (with(backend, options), Database::default());
    for _ in 0..3 {
        assert_eq!(cache.get_or_load("k", || db.clone().load(None)).await.unwrap(), None);
    }
    assert_eq!((db.loads(), cache.get("k").await.unwrap()), (1, Lookup::Null));
    for value in ["", "null", "*", "\u{0}"] {
        cache.invalidate("k").await.unwrap();
        cache.get_or_load("k", || db.clone().load(Some(value))).await.unwrap();
        assert_eq!(cache.get("k").await.unwrap(), Lookup::Hit(Arc::new(value.to_owned())));
    }
    cache.invalidate("k").await.unwrap();
    cache.get_or_load("k", || db.clone().load(None)).await.unwrap();
    backend.pass(Duration::from_millis(205)).await;
    assert_eq!(cache.get("k").await.unwrap(), Lookup::Miss, "an absence has a time to live of its own");

    let bytes = Cache::<Bytes>::with_codec(backend.store.clone(), Raw, CacheOptions::default().prefix("raw")).unwrap();
    for value in [&b""[..], b"\xC1\x01\x02\x00", b"\x00"] {
        bytes.invalidate("k").await.unwrap();
        let load = move || async move { Ok::<_, io::Error>(Some(Bytes::from_static(value))) };
        bytes.get_or_load("k", load).await.unwrap();
        assert_eq!(bytes.get("k").await.unwrap(), Lookup::Hit(Arc::new(Bytes::from_static(value))));
    }
}

/// Many callers of one load that ends when it is told to.
async fn herd(cache: &Cache<String>, db: &Database, open: Arc<Notify>) -> Vec<tokio::task::JoinHandle<Option<String>>> {
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let (cache, db, open) = (cache.clone(), db.clone(), open.clone());
            tokio::spawn(async move {
                let load = move || async move {
                    let value = db.load(Some("v")).await;
                    open.notified().await;
                    value
                };
                cache.get_or_load("k", load).await.unwrap().map(|value| (*value).clone())
            })
        })
        .collect();
    eventually("all wait for one load", || async { cache.stats().waiting == 99 }).await;
    callers
}

async fn concurrent_callers_share_one_load(backend: &Backend) {
    let (cache, db, open) = (cache(backend), Database::default(), Arc::new(Notify::new()));
    let callers = herd(&cache, &db, open.clone()).await;
    open.notify_one();
    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap(), "v");
    }
    assert_eq!((db.loads(), cache.stats().loads), (1, 1));
}

async fn a_load_survives_its_first_caller(backend: &Backend) {
    let (cache, db, open) = (cache(backend), Database::default(), Arc::new(Notify::new()));
    let callers = herd(&cache, &db, open.clone()).await;
    // Whoever began it is among the first fifty or among the rest: no caller matters.
    let (gone, waiting): (Vec<_>, Vec<_>) = callers.into_iter().enumerate().partition(|(i, _)| i % 2 == 0);
    gone.iter().for_each(|(_, caller)| caller.abort());
    open.notify_one();
    for (_, caller) in waiting {
        assert_eq!(caller.await.unwrap().unwrap(), "v");
    }
    assert_eq!(db.loads(), 1);

    // Even with nobody left the value is stored.
    cache.invalidate("k").await.unwrap();
    let (began, begun) = oneshot::channel();
    let gate = open.clone();
    let only = tokio::spawn({
        let cache = cache.clone();
        async move {
            let load = move || async move {
                began.send(()).unwrap();
                gate.notified().await;
                Ok::<_, io::Error>(Some("late".to_owned()))
            };
            cache.get_or_load("k", load).await.map(drop)
        }
    });
    begun.await.unwrap();
    only.abort();
    open.notify_one();
    let late = Lookup::Hit(Arc::new("late".to_owned()));
    eventually("it is stored", || async { cache.get("k").await.unwrap() == late }).await;
}

async fn an_error_reaches_every_waiter_and_is_not_cached(backend: &Backend) {
    let (cache, open) = (cache(backend), Arc::new(Notify::new()));
    let callers: Vec<_> = (0..10)
        .map(|_| {
            let (cache, open) = (cache.clone(), open.clone());
            tokio::spawn(async move {
                let load = || async move {
                    open.notified().await;
                    Err(io::Error::other("database is down"))
                };
                cache.get_or_load("k", load).await
            })
        })
        .collect();
    eventually("all wait", || async { cache.stats().waiting == 9 }).await;
    open.notify_one();
    for caller in callers {
        let Err(CacheError::Load(error)) = caller.await.unwrap() else { panic!("must fail") };
        assert_eq!(error.to_string(), "database is down");
    }
    let db = Database::default();
    let value = cache.get_or_load("k", || db.clone().load(Some("v"))).await.unwrap();
    assert_eq!(*value.unwrap(), "v");
    assert_eq!(
        cache.get("k").await.unwrap(),
        Lookup::Hit(Arc::new("v".to_owned())),
        "a failed load keeps no right to store"
    );
}

async fn a_panic_reaches_every_waiter(backend: &Backend) {
    let cache = cache(backend);
    let load = || async { if true { panic!("a loader's own fault") } else { Ok::<_, io::Error>(None) } };
    assert!(matches!(cache.get_or_load("k", load).await, Err(CacheError::LoadAborted)));
    let db = Database::default();
    cache.get_or_load("k", || db.clone().load(Some("v"))).await.unwrap();
    assert!(matches!(cache.get("k").await.unwrap(), Lookup::Hit(_)));
}

async fn a_loader_that_hangs_is_dropped(backend: &Backend) {
    struct Dropped(Option<oneshot::Sender<()>>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            let _ = self.0.take().unwrap().send(());
        }
    }
    let cache = with(backend, CacheOptions::default().load_timeout(Duration::from_millis(20)));
    let (sender, dropped) = oneshot::channel();
    let load = || async move {
        let _inside = Dropped(Some(sender));
        std::future::pending::<Result<Option<String>, io::Error>>().await
    };
    assert!(matches!(cache.get_or_load("k", load).await, Err(CacheError::LoadTimeout)));
    dropped.await.unwrap();
}

async fn invalidation_forgets_the_value(backend: &Backend) {
    let (cache, db) = (cache(backend), Database::default());
    for value in ["old", "new"] {
        let loaded = cache.get_or_load("k", || db.clone().load(Some(value))).await.unwrap();
        assert_eq!(*loaded.unwrap(), value);
        cache.invalidate("k").await.unwrap();
        assert_eq!(cache.get("k").await.unwrap(), Lookup::Miss);
    }
    cache.invalidate("never there").await.unwrap();
}

/// A load that has read "old" and waits at the gate.
async fn slow_load(cache: &Cache<String>, gate: &Arc<Notify>) -> tokio::task::JoinHandle<Option<Arc<String>>> {
    let (began, begun) = oneshot::channel();
    let (cache, gate) = (cache.clone(), gate.clone());
    let task = tokio::spawn(async move {
        let load = || async move {
            began.send(()).unwrap();
            gate.notified().await;
            Ok::<_, io::Error>(Some("old".to_owned()))
        };
        cache.get_or_load("k", load).await.unwrap()
    });
    begun.await.unwrap();
    task
}

async fn a_load_that_began_before_an_invalidation_is_not_stored(backend: &Backend) {
    let (cache, db, gate) = (cache(backend), Database::default(), Arc::new(Notify::new()));
    let old = slow_load(&cache, &gate).await;
    cache.invalidate("k").await.unwrap();

    // Whoever asks now gets a load of its own, while the old one still runs.
    let new = cache.get_or_load("k", || db.clone().load(Some("new"))).await.unwrap();
    assert_eq!(*new.unwrap(), "new");
    gate.notify_one();
    assert_eq!(*old.await.unwrap().unwrap(), "old", "who waited already gets what was read");
    assert_eq!(cache.get("k").await.unwrap(), Lookup::Hit(Arc::new("new".to_owned())));
    assert_eq!((cache.stats().invalidated, db.loads()), (1, 1));

    // Without a newer load there is nothing to find.
    cache.invalidate("k").await.unwrap();
    let old = slow_load(&cache, &gate).await;
    cache.invalidate("k").await.unwrap();
    gate.notify_one();
    old.await.unwrap();
    assert_eq!(cache.get("k").await.unwrap(), Lookup::Miss);
}

async fn a_forgotten_load_does_not_end_the_next_one(backend: &Backend) {
    let (cache, first, second) = (cache(backend), Arc::new(Notify::new()), Arc::new(Notify::new()));
    let old = slow_load(&cache, &first).await;
    cache.invalidate("k").await.unwrap();
    let new = slow_load(&cache, &second).await;
    first.notify_one();
    old.await.unwrap();
    let joins = tokio::spawn({
        let cache = cache.clone();
        async move { cache.get_or_load("k", || Database::default().load(Some("a third"))).await.unwrap() }
    });
    eventually("it waits for the load under way", || async { cache.stats().waiting == 1 }).await;
    second.notify_one();
    assert_eq!(joins.await.unwrap(), new.await.unwrap());
    assert_eq!(cache.stats().loads, 2);
}

async fn another_process_invalidates_a_load_under_way(backend: &Backend) {
    let (ours, theirs, gate) = (cache(backend), cache(backend), Arc::new(Notify::new()));
    let old = slow_load(&ours, &gate).await;
    theirs.invalidate("k").await.unwrap();
    gate.notify_one();
    old.await.unwrap();
    for cache in [ours, theirs] {
        assert_eq!(cache.get("k").await.unwrap(), Lookup::Miss);
    }
}

async fn what_does_not_decode_is_loaded_again(backend: &Backend) {
    let (cache, db) = (cache(backend), Database::default());
    let header = |magic, version, kind, transform, codec: u8| {
        let mut bytes = [0; 32];
        bytes[..5].copy_from_slice(&[magic, version, kind, transform, codec]);
        [&bytes[..], b"\"v\""].concat()
    };
    let damaged = [
        Vec::new(),
        b"legacy json".to_vec(),
        [&header(0xC1, 1, 1, 0, 2)[..], b"not json"].concat(),
        header(0xC1, 2, 1, 0, 2),
        header(0xC1, 1, 1, 99, 2),
        header(0xC1, 1, 1, 0, 1),
        header(0xC1, 1, 3, 0, 2),
    ];
    for (round, bytes) in damaged.into_iter().enumerate() {
        backend.store.set("cache:{k}", &bytes, SetOptions::default()).await.unwrap();
        assert_eq!(cache.get("k").await.unwrap(), Lookup::Miss);
        let value = cache.get_or_load("k", || db.clone().load(Some("v"))).await.unwrap();
        assert_eq!((&**value.unwrap(), db.loads()), ("v", round as u32 + 1));
        assert!(matches!(cache.get("k").await.unwrap(), Lookup::Hit(_)), "it is replaced");
    }
}

async fn another_type_of_value_is_an_error(backend: &Backend) {
    let (cache, db) = (cache(backend), Database::default());
    backend.put_other_type("cache:{k}").await;
    let error = cache.get_or_load("k", || db.clone().load(Some("v"))).await.unwrap_err();
    assert!(matches!(error, CacheError::Store(error) if error.kind() == ErrorKind::WrongType));
    let error = cache.get_or_load("", || db.clone().load(Some("v"))).await.unwrap_err();
    assert!(matches!(error, CacheError::Store(error) if error.kind() == ErrorKind::InvalidInput));
    assert_eq!(db.loads(), 0);
    cache.invalidate("k").await.unwrap();
    cache.get_or_load("k", || db.clone().load(Some("v"))).await.unwrap();
}

async fn another_codec_is_a_miss_and_is_replaced(backend: &Backend) {
    let options = || CacheOptions::default().budget(Duration::from_secs(8));
    let json = Cache::<u64>::new(backend.store.clone(), options()).unwrap();
    let packed = Cache::<u64>::with_codec(backend.store.clone(), MessagePack, options()).unwrap();
    json.insert("k", Some(&7)).await.unwrap();
    assert_eq!(packed.get("k").await.unwrap(), Lookup::Miss, "7 has a meaning in both");
    packed.insert("k", Some(&8)).await.unwrap();
    assert_eq!(
        (packed.get("k").await.unwrap(), json.get("k").await.unwrap()),
        (Lookup::Hit(Arc::new(8)), Lookup::Miss)
    );
}

async fn values_are_compressed_on_their_way(backend: &Backend) {
    let gzip = Arc::new(Compressor::new(CompressOptions::default()).unwrap());
    let (cache, db) = (with(backend, CacheOptions::default().transform(gzip)), Database::default());
    let long: &'static str = "kettle ".repeat(1000).leak();
    for _ in 0..2 {
        assert_eq!(*cache.get_or_load("long", || db.clone().load(Some(long))).await.unwrap().unwrap(), long);
        assert_eq!(*cache.get_or_load("short", || db.clone().load(Some("kettle"))).await.unwrap().unwrap(), "kettle");
    }
    assert_eq!(db.loads(), 2);
    let stored = backend.store.get("cache:{long}").await.unwrap().unwrap();
    assert!(stored.starts_with(b"\xC1\x01\x01\x01\x02") && stored.len() < long.len() / 20);
    assert_eq!(stored[32..35], *b"\x01\x1f\x8b");
    let stored = backend.store.get("cache:{short}").await.unwrap().unwrap();
    assert!(stored.starts_with(b"\xC1\x01\x01\x00\x02") && stored.ends_with(b"\"kettle\""));
}

async fn ttls_are_shortened_and_never_prolonged(backend: &Backend) {
    let promised = Duration::from_secs(1000);
    let cache = with(backend, CacheOptions::default().ttl(promised).ttl_jitter(0.5));
    let mut distinct = std::collections::HashSet::new();
    for key in 0..20 {
        let key = key.to_string();
        cache.get_or_load(&key, || Database::default().load(Some("v"))).await.unwrap();
        let Ttl::Remaining(left) = backend.store.ttl(&format!("cache:{{{key}}}")).await.unwrap() else {
            panic!("has a ttl")
        };
        assert!(left <= promised && left >= Duration::from_secs(495), "{left:?}");
        distinct.insert(left.as_secs());
    }
    assert!(distinct.len() > 10, "TTLs of entries stored together spread");
}

async fn a_process_that_dies_while_loading_is_waited_for_until_its_lease_ends(backend: &Backend) {
    let (cache, db) = (cache(backend), Database::default());
    let token = SetOptions::default().ttl(Duration::from_millis(60));
    backend.store.set("cache:{k}:load", &[b'd'; 32], token).await.unwrap();
    let value = cache.get_or_load("k", || db.clone().load(Some("v"))).await.unwrap();
    assert_eq!((&**value.unwrap(), db.loads(), cache.stats().raced), ("v", 1, 0));
    assert!(matches!(cache.get("k").await.unwrap(), Lookup::Hit(_)));
}

async fn what_a_guard_knows_to_be_absent_is_not_loaded(backend: &Backend) {
    #[derive(Debug)]
    struct Even;
    #[async_trait::async_trait]
    impl redis_cache::Guard for Even {
        async fn may_exist(&self, id: &str) -> bool {
            id.parse::<u32>().is_ok_and(|id| id % 2 == 0)
        }
    }
    let (cache, db) = (with(backend, CacheOptions::default().guard(Arc::new(Even))), Database::default());
    for (key, found) in [("1", false), ("2", true), ("3", false), ("x", false)] {
        let value = cache.get_or_load(key, || db.clone().load(Some("v"))).await.unwrap();
        assert_eq!(value.is_some(), found, "{key}");
    }
    assert_eq!((db.loads(), cache.get("1").await.unwrap()), (1, Lookup::Miss), "nothing is stored");
    let load = |keys: Vec<String>| {
        assert_eq!(keys, ["4"]);
        std::future::ready(Ok::<_, io::Error>(keys.into_iter().map(|key| (key, "v".to_owned())).collect()))
    };
    let many = cache.get_many_or_load(&["1", "2", "4", "5"], load).await.unwrap();
    assert_eq!(many.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true, true, false]);
}
