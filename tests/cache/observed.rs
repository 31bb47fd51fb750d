//! What a cache tells of what it does, and what it keeps to itself.

use super::Database;
use crate::layers::observed::watch;
use kv_core::MemoryStore;
use redis_cache::{Cache, CacheOptions, Lookup};
use std::sync::Arc;

#[test]
fn what_a_cache_does_is_told_without_its_keys() {
    let seen = watch(async {
        let options = CacheOptions::default().prefix("shop");
        let (cache, db) = (Cache::new(Arc::new(MemoryStore::new()), options).unwrap(), Database::default());
        for _ in 0..3 {
            cache.get_or_load("key-1", || db.clone().load(Some("value"))).await.unwrap();
        }
        assert_eq!(cache.get("key-2").await.unwrap(), Lookup::Miss);
        cache.get_or_load("key-3", || db.clone().load(None)).await.unwrap();
        assert_eq!(cache.get("key-3").await.unwrap(), Lookup::Null);
    });
    for (event, times) in [("load", 2), ("hit", 3), ("null_hit", 1), ("miss", 1), ("near_hit", 0), ("stale", 0)] {
        assert_eq!(seen.count(&format!("cache_events_total shop {event}")), times, "{event}: {seen:?}");
    }
    assert_eq!(seen.count("cache_load_seconds shop"), 2);
    assert_eq!(*seen.fields.lock().unwrap(), ["cache=\"shop\""; 2]);
    let told = format!("{seen:?}");
    assert!(!told.contains("key-") && !told.contains("value"), "{told}");
}
