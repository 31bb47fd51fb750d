//! Many entries forgotten at once.

use super::{Database, cache, with};
use crate::backend::{Backend, on_every_backend};
use kv_core::{SetOptions, Ttl};
use redis_cache::{Cache, CacheError, CacheOptions, Lookup};
use std::{collections::HashMap, future::ready, io, sync::Arc, time::Duration};
use tokio::sync::{Notify, oneshot};

on_every_backend!(
    a_tag_forgets_what_has_it_and_nothing_else,
    a_load_that_began_before_its_tag_was_invalidated_is_a_miss,
    a_tag_that_is_lost_forgets_what_has_it,
    an_entry_outlives_no_tag,
    who_joins_after_a_tag_was_invalidated_gets_what_is_loaded_after,
    everything_is_forgotten_at_once,
    tags_that_cannot_be,
);

async fn load(cache: &Cache<String>, tags: &[&str], key: &str, db: &Database, value: &'static str) -> String {
    let tagged = cache.tagged(tags).unwrap();
    (*tagged.get_or_load(key, || db.clone().load(Some(value))).await.unwrap().unwrap()).clone()
}

async fn a_tag_forgets_what_has_it_and_nothing_else(backend: &Backend) {
    let (ours, theirs, db) = (cache(backend), cache(backend), Database::default());
    for (key, tags) in [("both", &["red", "round"][..]), ("red", &["red"]), ("round", &["round"]), ("none", &[])] {
        assert_eq!(load(&ours, tags, key, &db, "old").await, "old");
    }
    ours.tagged(&["red"]).unwrap().insert("inserted", Some(&"old".to_owned())).await.unwrap();
    theirs.invalidate_tag("red").await.unwrap();
    for key in ["both", "red", "inserted"] {
        assert_eq!(ours.get(key).await.unwrap(), Lookup::Miss, "{key}");
    }
    for key in ["round", "none"] {
        assert_eq!(ours.get(key).await.unwrap(), Lookup::Hit(Arc::new("old".to_owned())), "{key}");
    }
    assert_eq!(load(&theirs, &["red", "round"], "both", &db, "new").await, "new");
    assert_eq!((load(&ours, &["red"], "both", &db, "newer").await, db.loads()), ("new".to_owned(), 5));

    // A call for many keys sees it as well.
    theirs.invalidate_tag("round").await.unwrap();
    let loader = |keys: Vec<String>| {
        ready(Ok::<_, io::Error>(keys.into_iter().map(|key| (key, "many".to_owned())).collect::<HashMap<_, _>>()))
    };
    let values = ours.get_many_or_load(&["both", "none", "round"], loader).await.unwrap();
    let read = |values: Vec<Option<Arc<String>>>| {
        values.into_iter().map(|value| (*value.unwrap()).clone()).collect::<Vec<_>>()
    };
    assert_eq!(read(values), ["many", "old", "many"]);

    // And gives what it loads its tags.
    let all = ["first", "second"];
    assert_eq!(read(ours.tagged(&["batch"]).unwrap().get_many_or_load(&all, loader).await.unwrap()), ["many", "many"]);
    assert_eq!(theirs.get("first").await.unwrap(), Lookup::Hit(Arc::new("many".to_owned())));
    theirs.invalidate_tag("batch").await.unwrap();
    for key in all {
        assert_eq!(ours.get(key).await.unwrap(), Lookup::Miss, "{key}");
    }
}

async fn slow(cache: &Cache<String>, gate: &Arc<Notify>) -> tokio::task::JoinHandle<String> {
    let (began, begun) = oneshot::channel();
    let (cache, gate) = (cache.clone(), gate.clone());
    let task = tokio::spawn(async move {
        let load = || async move {
            began.send(()).unwrap();
            gate.notified().await;
            Ok::<_, io::Error>(Some("old".to_owned()))
        };
        (*cache.tagged(&["red"]).unwrap().get_or_load("k", load).await.unwrap().unwrap()).clone()
    });
    begun.await.unwrap();
    task
}

async fn a_load_that_began_before_its_tag_was_invalidated_is_a_miss(backend: &Backend) {
    let (ours, theirs, gate) = (cache(backend), cache(backend), Arc::new(Notify::new()));
    let old = slow(&ours, &gate).await;
    theirs.invalidate_tag("red").await.unwrap();
    gate.notify_one();
    assert_eq!(old.await.unwrap(), "old", "who asked before may have it");
    for cache in [&ours, &theirs] {
        assert_eq!(cache.get("k").await.unwrap(), Lookup::Miss);
    }
    let db = Database::default();
    assert_eq!(load(&theirs, &["red"], "k", &db, "new").await, "new");
    assert_eq!(load(&ours, &["red"], "k", &db, "newer").await, "new");
}

async fn a_tag_that_is_lost_forgets_what_has_it(backend: &Backend) {
    let (cache, db) = (cache(backend), Database::default());
    for damage in [None, Some(&b"damaged"[..]), Some(b"12345678")] {
        load(&cache, &["red"], "k", &db, "v").await;
        backend.store.delete(&["cache:{red}:tag"]).await.unwrap();
        if let Some(bytes) = damage {
            backend.store.set("cache:{red}:tag", bytes, SetOptions::default()).await.unwrap();
        }
        assert_eq!(cache.get("k").await.unwrap(), Lookup::Miss, "{damage:?}");
    }
    load(&cache, &["red"], "k", &db, "v").await;
    assert_eq!((load(&cache, &["red"], "k", &db, "v").await, db.loads()), ("v".to_owned(), 4), "it is made whole");
}

async fn an_entry_outlives_no_tag(backend: &Backend) {
    let hour = Duration::from_secs(3600);
    let (cache, db) = (with(backend, CacheOptions::default().ttl(hour).stale_if_error(hour)), Database::default());
    let left = || async {
        let Ttl::Remaining(left) = backend.store.ttl("cache:{red}:tag").await.unwrap() else { panic!("has a ttl") };
        left
    };
    load(&cache, &["red"], "k", &db, "v").await;
    assert!(left().await > hour * 2);
    // One with a shorter life does not shorten that of the tag.
    load(&super::cache(backend), &["red"], "other", &db, "v").await;
    super::cache(backend).invalidate_tag("red").await.unwrap();
    assert!(left().await > hour * 2);
    backend.store.expire("cache:{red}:tag", Duration::from_secs(10)).await.unwrap();
    load(&cache, &["red"], "third", &db, "v").await;
    assert!(left().await > hour * 2);
}

async fn who_joins_after_a_tag_was_invalidated_gets_what_is_loaded_after(backend: &Backend) {
    let (ours, theirs, gate) = (cache(backend), cache(backend), Arc::new(Notify::new()));
    let old = slow(&ours, &gate).await;
    theirs.invalidate_tag("red").await.unwrap();
    let late = tokio::spawn({
        let ours = ours.clone();
        async move { load(&ours, &["red"], "k", &Database::default(), "new").await }
    });
    crate::backend::eventually("it waits", || async { ours.stats().waiting == 1 }).await;
    gate.notify_one();
    assert_eq!((old.await.unwrap(), late.await.unwrap()), ("old".to_owned(), "new".to_owned()));
}

async fn everything_is_forgotten_at_once(backend: &Backend) {
    let options = CacheOptions::default().clearable(true);
    let (ours, theirs, db) = (with(backend, options.clone()), with(backend, options), Database::default());
    for key in ["a", "b"] {
        ours.get_or_load(key, || db.clone().load(Some("old"))).await.unwrap();
    }
    load(&ours, &["red"], "c", &db, "old").await;
    ours.insert("d", Some(&"old".to_owned())).await.unwrap();
    ours.write_through("e", || ready(Ok::<_, io::Error>(Some("old".to_owned())))).await.unwrap();
    assert!(matches!(theirs.get("e").await.unwrap(), Lookup::Hit(_)));
    theirs.clear().await.unwrap();
    for key in ["a", "b", "c", "d", "e"] {
        assert_eq!(ours.get(key).await.unwrap(), Lookup::Miss, "{key}");
    }
    let error = cache(backend).clear().await.unwrap_err();
    assert!(matches!(error, CacheError::Store(error) if error.kind() == kv_core::ErrorKind::InvalidConfig));
}

async fn tags_that_cannot_be(backend: &Backend) {
    let cache = cache(backend);
    for tags in [&[""][..], &["x".repeat(248).leak()], &["x"; 251]] {
        assert!(cache.tagged(tags).is_err());
    }
    assert!(cache.invalidate_tag("").await.is_err());
    let db = Database::default();
    assert_eq!(load(&cache, &["{}", "%", "x".repeat(247).leak()], "k", &db, "v").await, "v");
    assert_eq!((load(&cache, &[], "k", &db, "v").await, db.loads()), ("v".to_owned(), 1));
}
