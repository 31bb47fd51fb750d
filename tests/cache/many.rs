//! Many keys in one call.

use super::{cache, with};
use crate::backend::{Backend, eventually, on_every_backend};
use kv_core::SetOptions;
use redis_cache::{Cache, CacheError, CacheOptions, Lookup};
use std::{
    collections::HashMap,
    future::ready,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::Notify;

on_every_backend!(
    what_is_missing_is_loaded_in_one_call,
    overlapping_calls_load_each_key_once,
    what_another_process_loads_is_waited_for,
    a_batch_that_fails_leaves_the_rest_served,
    no_keys_and_the_same_key_twice,
    a_batch_larger_than_the_limit_of_loads,
    a_large_batch_is_soon_done,
    what_is_asked_for_tomorrow_is_loaded_in_batches,
);

/// A database that remembers what it was asked for.
#[derive(Clone, Default)]
struct Table {
    asked: Arc<Mutex<Vec<Vec<String>>>>,
    fails: bool,
}

impl Table {
    fn rows(&self, keys: Vec<String>) -> Result<HashMap<String, String>, io::Error> {
        let rows = keys.iter().filter(|key| !key.starts_with("no")).map(|key| (key.clone(), format!("row {key}")));
        let rows = rows.collect();
        self.asked.lock().unwrap().push(keys);
        if self.fails { Err(io::Error::other("database is down")) } else { Ok(rows) }
    }

    fn asked(&self) -> Vec<Vec<String>> {
        let mut asked = self.asked.lock().unwrap().clone();
        asked.iter_mut().for_each(|keys| keys.sort());
        asked
    }

    async fn get(&self, cache: &Cache<String>, keys: &[&str]) -> Result<Vec<Option<String>>, CacheError> {
        let table = self.clone();
        let values = cache.get_many_or_load(keys, move |keys| ready(table.rows(keys))).await?;
        Ok(values.into_iter().map(|value| value.map(|value| (*value).clone())).collect())
    }
}

fn row(key: &str) -> Option<String> {
    Some(format!("row {key}"))
}

async fn what_is_missing_is_loaded_in_one_call(backend: &Backend) {
    let (cache, table) = (cache(backend), Table::default());
    assert_eq!(table.get(&cache, &["a", "nobody"]).await.unwrap(), [row("a"), None]);
    assert_eq!(table.get(&cache, &["c", "nobody", "a", "b"]).await.unwrap(), [row("c"), None, row("a"), row("b")]);
    assert_eq!(table.asked(), [vec!["a", "nobody"], vec!["b", "c"]]);
    assert_eq!((cache.get("nobody").await.unwrap(), cache.stats().null_hits), (Lookup::Null, 2));
    assert_eq!(table.get(&cache, &["a", "b", "c"]).await.unwrap(), ["a", "b", "c"].map(row));
    assert_eq!((table.asked().len(), cache.stats().loads), (2, 4));
}

async fn overlapping_calls_load_each_key_once(backend: &Backend) {
    let (cache, table, gate) = (cache(backend), Table::default(), Arc::new(Notify::new()));
    let first = tokio::spawn({
        let (cache, table, gate) = (cache.clone(), table.clone(), gate.clone());
        async move {
            let load = move |keys| {
                let (table, gate) = (table.clone(), gate.clone());
                async move {
                    gate.notified().await;
                    table.rows(keys)
                }
            };
            cache.get_many_or_load(&["a", "b"], load).await.unwrap().len()
        }
    });
    eventually("it loads", || async { cache.stats().loads == 2 }).await;
    let second = tokio::spawn({
        let (cache, table) = (cache.clone(), table.clone());
        async move { table.get(&cache, &["b", "c", "a"]).await.unwrap() }
    });
    eventually("the rest is loaded", || async { table.asked() == [["c"]] }).await;
    gate.notify_one();
    assert_eq!(second.await.unwrap(), ["b", "c", "a"].map(row));
    assert_eq!((first.await.unwrap(), table.asked()), (2, vec![vec!["c".to_owned()], vec!["a".into(), "b".into()]]));
}

async fn what_another_process_loads_is_waited_for(backend: &Backend) {
    let (ours, theirs, table, gate) = (cache(backend), cache(backend), Table::default(), Arc::new(Notify::new()));
    let other = tokio::spawn({
        let gate = gate.clone();
        async move {
            let load = || async move {
                gate.notified().await;
                Ok::<_, io::Error>(Some("theirs".to_owned()))
            };
            theirs.get_or_load("b", load).await.unwrap()
        }
    });
    eventually("it loads", || async { backend.store.exists("cache:{b}:load").await.unwrap() }).await;
    let many = tokio::spawn({
        let (cache, table) = (ours.clone(), table.clone());
        async move { table.get(&cache, &["a", "b", "c"]).await.unwrap() }
    });
    eventually("the rest does not wait", || async { table.asked() == [["a", "c"]] }).await;
    gate.notify_one();
    assert_eq!(many.await.unwrap(), [row("a"), Some("theirs".to_owned()), row("c")]);
    other.await.unwrap();

    // One that dies is followed by this call, with what is left.
    let lease = SetOptions::default().ttl(Duration::from_millis(80));
    backend.store.set("cache:{dead}:load", &[b'd'; 32], lease).await.unwrap();
    assert_eq!(table.get(&ours, &["dead", "d"]).await.unwrap(), ["dead", "d"].map(row));
    assert_eq!(table.asked()[1..], [["d"], ["dead"]]);
}

async fn a_batch_that_fails_leaves_the_rest_served(backend: &Backend) {
    let (cache, table) = (cache(backend), Table::default());
    table.get(&cache, &["a"]).await.unwrap();
    let broken = Table { fails: true, ..Table::default() };
    assert!(matches!(broken.get(&cache, &["a", "b", "c"]).await, Err(CacheError::Load(_))));
    assert_eq!(broken.get(&cache, &["a"]).await.unwrap(), [row("a")]);
    assert_eq!(table.get(&cache, &["b", "c"]).await.unwrap(), ["b", "c"].map(row), "no error is cached, no lease kept");
    let panics = |_| async { if true { panic!("a loader's own fault") } else { Ok::<_, io::Error>(HashMap::new()) } };
    assert!(matches!(cache.get_many_or_load(&["d", "e"], panics).await, Err(CacheError::LoadAborted)));
    let hangs = |_| std::future::pending::<Result<HashMap<String, String>, io::Error>>();
    let impatient = with(backend, CacheOptions::default().load_timeout(Duration::from_millis(30)));
    assert!(matches!(impatient.get_many_or_load(&["d", "e"], hangs).await, Err(CacheError::LoadTimeout)));
    assert_eq!(table.get(&cache, &["d", "e"]).await.unwrap(), ["d", "e"].map(row));
}

async fn no_keys_and_the_same_key_twice(backend: &Backend) {
    let (cache, table) = (cache(backend), Table::default());
    assert_eq!(table.get(&cache, &[]).await.unwrap(), []);
    for _ in 0..2 {
        assert_eq!(table.get(&cache, &["a", "b", "a"]).await.unwrap(), ["a", "b", "a"].map(row));
    }
    assert_eq!(table.asked(), [["a", "b"]]);
    let error = table.get(&cache, &["c", ""]).await.unwrap_err();
    assert!(matches!(error, CacheError::Store(error) if error.kind() == kv_core::ErrorKind::InvalidInput));
}

async fn a_batch_larger_than_the_limit_of_loads(backend: &Backend) {
    let (cache, table) = (with(backend, CacheOptions::default().max_loads(1)), Table::default());
    let keys: Vec<String> = (0..50).map(|key| key.to_string()).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    assert_eq!(table.get(&cache, &keys).await.unwrap().len(), 50);
    assert_eq!(table.asked().len(), 1);
}

async fn a_large_batch_is_soon_done(backend: &Backend) {
    let (ours, theirs, table) = (cache(backend), cache(backend), Table::default());
    let keys: Vec<String> = (0..500).map(|key| key.to_string()).collect();
    let calls: Vec<_> = (0..6)
        .map(|call| {
            let (cache, table) = ([&ours, &theirs][call % 2].clone(), table.clone());
            let keys = keys[call * 50..call * 50 + 250].to_vec();
            tokio::spawn(async move {
                let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
                assert_eq!(
                    table.get(&cache, &keys).await.unwrap(),
                    keys.iter().map(|key| row(key)).collect::<Vec<_>>()
                );
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    let mut asked: Vec<String> = table.asked().concat();
    asked.sort();
    let all = asked.len();
    asked.dedup();
    assert_eq!((all, asked.len()), (500, 500), "each key once");
}

async fn what_is_asked_for_tomorrow_is_loaded_in_batches(backend: &Backend) {
    let cache = with(backend, CacheOptions::default());
    cache.insert("key 3", Some(&"is there".to_owned())).await.unwrap();
    let batches = Arc::new(std::sync::Mutex::new(Vec::new()));
    let names: Vec<String> = (0..10).map(|key| format!("key {key}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let load = {
        let batches = batches.clone();
        move |keys: Vec<String>| {
            batches.lock().unwrap().push(keys.len());
            let fails = keys.contains(&"key 9".to_owned()) && batches.lock().unwrap().len() < 4;
            async move {
                let found = keys.into_iter().filter(|key| key != "key 5").map(|key| (key.clone(), key));
                if fails { Err(std::io::Error::other("down")) } else { Ok(found.collect()) }
            }
        }
    };
    let four = std::num::NonZeroUsize::new(4).unwrap();
    assert!(matches!(cache.warm_up(&names, four, load.clone()).await, Err(CacheError::Load(_))));
    assert_eq!(cache.warm_up(&names, four, load).await.unwrap(), 9);
    // Those that came before the failure are not loaded once more.
    assert_eq!(*batches.lock().unwrap(), [3, 4, 2, 2]);
    assert_eq!(cache.get("key 5").await.unwrap(), Lookup::Null);
}
