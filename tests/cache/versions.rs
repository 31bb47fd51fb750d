//! Values that know which of two is the later.

use super::Database;
use crate::backend::{Backend, on_every_backend};
use redis_cache::{Cache, CacheOptions, Lookup};
use std::sync::Arc;

on_every_backend!(
    no_later_version_is_replaced,
    what_is_loaded_has_its_version_too,
    tags_and_versions_go_together,
    what_has_no_version_is_replaced,
);

/// A row with its revision.
type Row = (u64, String);

fn rows(backend: &Backend) -> Cache<Row> {
    let options = CacheOptions::default().budget(std::time::Duration::from_secs(8)).clearable(true);
    Cache::new(backend.store.clone(), options).unwrap().versioned_by(|row: &Row| row.0)
}

fn row(version: u64) -> Row {
    (version, format!("of {version}"))
}

async fn no_later_version_is_replaced(backend: &Backend) {
    let cache = rows(backend);
    // Beyond what a Lua number tells apart, and across its two halves.
    let rising = [0, 1, 255, 256, u64::from(u32::MAX), 1 << 32, 1 << 53, (1 << 53) + 1, u64::MAX - 1, u64::MAX];
    for (at, version) in rising.into_iter().enumerate() {
        assert!(cache.insert("k", Some(&row(version))).await.unwrap(), "{version}");
        assert!(cache.insert("k", Some(&row(version))).await.unwrap(), "{version} once more");
        for earlier in &rising[..at] {
            assert!(!cache.insert("k", Some(&row(*earlier))).await.unwrap(), "{earlier} after {version}");
        }
        assert_eq!(cache.get("k").await.unwrap(), Lookup::Hit(Arc::new(row(version))));
    }
    cache.invalidate("k").await.unwrap();
    assert!(cache.insert("k", Some(&row(3))).await.unwrap(), "nothing is there");
}

async fn what_is_loaded_has_its_version_too(backend: &Backend) {
    let (cache, db) = (rows(backend), Database::default());
    let load = || async move { db.load(Some("new")).await.map(|value| value.map(|value| (6, value))) };
    assert_eq!(*cache.get_or_load("k", load).await.unwrap().unwrap(), (6, "new".into()));
    assert!(!cache.insert("k", Some(&row(5))).await.unwrap());
    assert!(cache.insert("k", Some(&row(7))).await.unwrap());
}

async fn tags_and_versions_go_together(backend: &Backend) {
    let cache = rows(backend);
    let tagged = cache.tagged(&["red", "blue"]).unwrap();
    assert!(tagged.insert("k", Some(&row(2))).await.unwrap());
    assert!(!tagged.insert("k", Some(&row(1))).await.unwrap());
    assert_eq!(cache.get("k").await.unwrap(), Lookup::Hit(Arc::new(row(2))));
    cache.invalidate_tag("blue").await.unwrap();
    assert_eq!(cache.get("k").await.unwrap(), Lookup::Miss);
}

async fn what_has_no_version_is_replaced(backend: &Backend) {
    let versioned = rows(backend);
    let plain = Cache::<Row>::new(backend.store.clone(), CacheOptions::default()).unwrap();
    assert!(plain.insert("k", Some(&row(9))).await.unwrap());
    assert!(versioned.insert("k", Some(&row(1))).await.unwrap());
    assert!(plain.insert("k", Some(&row(0))).await.unwrap());
    assert!(versioned.insert("k", None).await.unwrap());
    assert_eq!(versioned.get("k").await.unwrap(), Lookup::Null);
    assert!(versioned.insert("k", Some(&row(1))).await.unwrap());
    // What looks like one and is not.
    let mut foreign = [0; 42];
    foreign[..9].copy_from_slice(&[0xC1, 1, 1, 0, 2, 0, 9, 0, 0]);
    foreign[32..].copy_from_slice(&[2, 8, 255, 255, 255, 255, 255, 255, 255, 255]);
    for cut in [0, 33, 41, 42] {
        backend.store.set("cache:{k}", &foreign[..cut], Default::default()).await.unwrap();
        assert!(versioned.insert("k", Some(&row(1))).await.unwrap(), "{cut} bytes");
    }
}
