//! Values too big for one key.

use super::{Database, with};
use crate::backend::{Backend, eventually, on_every_backend};
use kv_core::{SetOptions, Ttl};
use redis_cache::{Cache, CacheOptions, Lookup};
use redis_compress::{CompressOptions, Compressor};
use std::{sync::Arc, time::Duration};
use tokio::task::JoinSet;

on_every_backend!(
    a_large_value_is_in_parts_and_comes_back,
    a_lost_or_foreign_part_is_a_miss_and_is_repaired,
    who_waits_in_another_process_gets_it,
    it_is_there_until_its_successor_is,
    nobody_reads_half_of_it,
    what_the_transform_makes_small_is_whole,
);

fn options() -> CacheOptions {
    CacheOptions::default().part_bytes(1024)
}

fn parts(backend: &Backend) -> Cache<String> {
    with(backend, options())
}

/// Of two parts and a rest, as JSON.
fn large(digit: char) -> String {
    digit.to_string().repeat(2500)
}

async fn load(cache: &Cache<String>, value: String) -> Arc<String> {
    let loaded = cache.get_or_load("k", || async { Ok::<_, std::io::Error>(Some(value)) }).await;
    loaded.unwrap().unwrap()
}

async fn a_large_value_is_in_parts_and_comes_back(backend: &Backend) {
    let (cache, store) = (parts(backend), &backend.store);
    assert_eq!(*load(&cache, large('1')).await, large('1'));
    assert_eq!(cache.get("k").await.unwrap(), Lookup::Hit(Arc::new(large('1'))));
    let entry = store.get("cache:{k}").await.unwrap().unwrap();
    assert_eq!((entry.len(), entry[2]), (60, 3));
    for (part, len) in [(0, 1024), (2, 1024), (4, 2502 - 2048)] {
        let key = format!("cache:{{k}}:part:{part}");
        assert_eq!(store.get(&key).await.unwrap().unwrap().len(), 16 + len, "part {part}");
        let (Ttl::Remaining(part), Ttl::Remaining(entry)) =
            (store.ttl(&key).await.unwrap(), store.ttl("cache:{k}").await.unwrap())
        else {
            panic!("no ttl")
        };
        assert!(part > entry);
    }
    assert!(!store.exists("cache:{k}:part:6").await.unwrap() && !store.exists("cache:{k}:part:1").await.unwrap());
    cache.insert("other", Some(&"small".to_owned())).await.unwrap();
    cache.insert("third", Some(&large('3'))).await.unwrap();
    let loader = |_: Vec<String>| async { Ok::<_, std::io::Error>([].into()) };
    let many = cache.get_many_or_load(&["k", "other", "third"], loader).await.unwrap();
    let many: Vec<_> = many.iter().map(|value| value.as_deref().cloned().unwrap()).collect();
    assert_eq!(many, [large('1'), "small".into(), large('3')]);
    cache.invalidate("k").await.unwrap();
    assert_eq!(cache.get("k").await.unwrap(), Lookup::Miss);
    assert_eq!(*load(&cache, "short".into()).await, "short");
    assert_eq!(cache.get("k").await.unwrap(), Lookup::Hit(Arc::new("short".to_owned())));
}

async fn a_lost_or_foreign_part_is_a_miss_and_is_repaired(backend: &Backend) {
    let (cache, store) = (parts(backend), &backend.store);
    for (round, digit) in ['1', '2', '3', '4'].into_iter().enumerate() {
        assert_eq!(*load(&cache, large(digit)).await, large(digit), "round {round}");
        assert!(matches!(cache.get("k").await.unwrap(), Lookup::Hit(_)));
        let side = store.get("cache:{k}").await.unwrap().unwrap()[5];
        let key = format!("cache:{{k}}:part:{}", 2 + side);
        let part = store.get(&key).await.unwrap().unwrap();
        match round {
            0 => drop(store.delete(&[&key]).await.unwrap()),
            1 => store.set(&key, &part[..part.len() - 1], SetOptions::default()).await.map(drop).unwrap(),
            2 => store.set(&key, &[&[0; 16], &part[16..]].concat(), SetOptions::default()).await.map(drop).unwrap(),
            _ => store.set(&key, b"", SetOptions::default()).await.map(drop).unwrap(),
        }
        assert_eq!(cache.get("k").await.unwrap(), Lookup::Miss, "round {round}");
    }
}

async fn who_waits_in_another_process_gets_it(backend: &Backend) {
    let (ours, theirs, db) = (parts(backend), parts(backend), Database::default());
    let (began, begun) = tokio::sync::oneshot::channel();
    let gate = Arc::new(tokio::sync::Notify::new());
    let first = tokio::spawn({
        let (gate, db) = (gate.clone(), db.clone());
        async move {
            let load = || async move {
                began.send(()).unwrap();
                gate.notified().await;
                db.load(Some(&large('7'))).await
            };
            theirs.get_or_load("k", load).await.unwrap().unwrap()
        }
    });
    begun.await.unwrap();
    let second = tokio::spawn({
        let (ours, db) = (ours.clone(), db.clone());
        async move { ours.get_or_load("k", || async move { db.load(Some("twice")).await }).await.unwrap().unwrap() }
    });
    eventually("the second waits", || async {
        backend.store.get("cache:{k}:load").await.unwrap().is_some_and(|lease| lease.ends_with(b"w"))
    })
    .await;
    gate.notify_one();
    assert_eq!((first.await.unwrap(), second.await.unwrap()), (Arc::new(large('7')), Arc::new(large('7'))));
    assert_eq!(db.loads(), 1);
}

async fn it_is_there_until_its_successor_is(backend: &Backend) {
    let stale = options().ttl(Duration::from_millis(200)).ttl_jitter(0.0).early_refresh(0.0);
    let cache = with(backend, stale.stale_while_revalidate(Duration::from_secs(3600)));
    let side = || async { backend.store.get("cache:{k}").await.unwrap().unwrap()[5] };
    load(&cache, large('0')).await;
    for (round, digit) in ['1', '2', '3'].into_iter().enumerate() {
        let before = side().await;
        assert_eq!(usize::from(before), round % 2);
        backend.pass(Duration::from_millis(300)).await;
        eventually("it is loaded anew", || async { *load(&cache, large(digit)).await == large(digit) }).await;
        assert_ne!(side().await, before);
        // Who reads it still has all of it.
        for part in [0, 2, 4] {
            assert!(backend.store.exists(&format!("cache:{{k}}:part:{}", part + before)).await.unwrap());
        }
    }
}

/// Written as fast as it goes, under one key, by two processes.
async fn nobody_reads_half_of_it(backend: &Backend) {
    let mut tasks = JoinSet::new();
    for writer in 0..2_u32 {
        let cache = parts(backend);
        tasks.spawn(async move {
            for round in 0..40 {
                let digit = char::from_digit((writer + 2 * round) % 10, 10).unwrap();
                cache.insert("k", Some(&digit.to_string().repeat(1200 + 700 * (round as usize % 5)))).await.unwrap();
            }
        });
    }
    for _ in 0..2 {
        let cache = parts(backend);
        tasks.spawn(async move {
            for _ in 0..60 {
                if let Lookup::Hit(value) = cache.get("k").await.unwrap() {
                    let first = value.chars().next().unwrap();
                    assert!(value.chars().all(|digit| digit == first), "a mixture");
                    assert_eq!((value.len() - 1200) % 700, 0, "a fragment");
                }
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
}

async fn what_the_transform_makes_small_is_whole(backend: &Backend) {
    let cache = with(backend, options().transform(Arc::new(Compressor::new(CompressOptions::default()).unwrap())));
    load(&cache, large('1')).await;
    let entry = backend.store.get("cache:{k}").await.unwrap().unwrap();
    assert!(entry[2] == 1 && entry.len() < 200, "{} bytes", entry.len());
    assert_eq!(cache.get("k").await.unwrap(), Lookup::Hit(Arc::new(large('1'))));
}
