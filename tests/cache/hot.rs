//! Keys that are read much.

use super::{Database, with};
use crate::backend::{Backend, eventually, on_every_backend};
use redis_cache::{Cache, CacheOptions, HotKeyOptions, NearOptions};
use std::time::Duration;

on_every_backend!(
    the_keys_that_are_read_most_are_told,
    only_hot_keys_are_kept_and_they_are_invalidated_like_all,
    without_the_option_nothing_is_counted,
);

/// So slow to forget that it makes no difference how long the reads take.
fn hot_keys() -> HotKeyOptions {
    HotKeyOptions::default().sample(1).tracked(8).half_life(Duration::from_secs(60)).rate(1.0)
}

async fn read(cache: &Cache<String>, key: &str, times: u32, db: &Database) -> String {
    let mut last = String::new();
    for _ in 0..times {
        last = cache.get_or_load(key, || db.clone().load(Some("v"))).await.unwrap().unwrap().as_str().to_owned();
    }
    last
}

async fn the_keys_that_are_read_most_are_told(backend: &Backend) {
    let (cache, db) = (with(backend, CacheOptions::default().hot_keys(hot_keys())), Database::default());
    read(&cache, "hot", 200, &db).await;
    read(&cache, "warm", 150, &db).await;
    for cold in 0..20 {
        read(&cache, &format!("cold {cold}"), 2, &db).await;
    }
    // Every way to read counts.
    let keys = vec!["warm"; 150];
    for key in &keys {
        cache.get(key).await.unwrap();
    }
    let found = cache.hot_keys();
    assert_eq!(found.iter().map(|found| found.key.as_str()).collect::<Vec<_>>(), ["warm", "hot"], "{found:?}");
}

async fn only_hot_keys_are_kept_and_they_are_invalidated_like_all(backend: &Backend) {
    let near = NearOptions::default().hot_only(true);
    let (cache, db) = (with(backend, CacheOptions::default().hot_keys(hot_keys()).near(near)), Database::default());
    let other = with(backend, CacheOptions::default());
    read(&cache, "hot", 200, &db).await;
    eventually("it is kept", || async {
        let before = cache.stats().near_hits;
        read(&cache, "hot", 1, &db).await;
        cache.stats().near_hits > before
    })
    .await;
    for cold in 0..20 {
        read(&cache, &format!("cold {cold}"), 2, &db).await;
    }
    assert_eq!(cache.stats().near_entries, 1, "those that are not hot are read from the store");
    let before = db.loads();
    other.invalidate("hot").await.unwrap();
    eventually("it is loaded again", || async {
        read(&cache, "hot", 1, &db).await;
        db.loads() > before
    })
    .await;
}

async fn without_the_option_nothing_is_counted(backend: &Backend) {
    let (cache, db) = (with(backend, CacheOptions::default()), Database::default());
    read(&cache, "hot", 50, &db).await;
    assert_eq!(cache.hot_keys(), []);
}
