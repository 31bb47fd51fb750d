//! What the READMEs say a call costs, as the server counts it.

use crate::backend::{Backend, patient};
use kv_core::{KvStore, MemoryStore, SetOptions};
use kv_redis::RedisStore;
use redis_cache::{Cache, CacheOptions};
use redis_lock::{LockManager, LockOptions};
use redis_ratelimit::{Algorithm, ConcurrencyLimiter, ConcurrencyOptions, Quota, RateLimitOptions, RateLimiter};
use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use xtask::resp::Reply;

/// The commands a call makes the server execute, those within scripts too.
async fn commands<T>(backend: &Backend, call: impl Future<Output = T>) -> BTreeMap<String, u32> {
    let server = backend.server.as_ref().unwrap();
    server.call(&["CONFIG", "RESETSTAT"]).unwrap();
    call.await;
    let Reply::Bulk(Some(stats)) = server.call(&["INFO", "commandstats"]).unwrap() else { panic!("no statistics") };
    let counted = String::from_utf8(stats).unwrap();
    let line = |line: &str| {
        let (name, figures) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        // How the test asks.
        let asked = matches!(name, "config|resetstat" | "config" | "info");
        (!asked).then(|| (name.to_owned(), figures.split(',').next().unwrap().parse().unwrap()))
    };
    counted.lines().filter_map(line).collect()
}

fn executed(expected: &[(&str, u32)]) -> BTreeMap<String, u32> {
    expected.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[tokio::test]
async fn every_method_of_a_store_is_one_command() {
    let backend = Backend::redis("").await;
    let (store, minute) = (&backend.store, Duration::from_secs(60));
    assert_eq!(commands(&backend, store.get("a")).await, executed(&[("get", 1)]));
    let set = store.set("a", b"1", SetOptions::default().ttl(minute));
    assert_eq!(commands(&backend, set).await, executed(&[("set", 1)]));
    assert_eq!(commands(&backend, store.delete(&["a", "b"])).await, executed(&[("unlink", 1)]));
    assert_eq!(commands(&backend, store.mget(&["a", "b"])).await, executed(&[("mget", 1)]));
    assert_eq!(commands(&backend, store.mset(&[("a", b"1"), ("b", b"2")], None)).await, executed(&[("mset", 1)]));
    // One round trip all the same.
    let timed = commands(&backend, store.mset(&[("a", b"1"), ("b", b"2")], Some(minute))).await;
    assert_eq!(timed, executed(&[("exec", 1), ("multi", 1), ("set", 2)]));
    for nothing in [commands(&backend, store.mget(&[])).await, commands(&backend, store.delete(&[])).await] {
        assert_eq!(nothing, executed(&[]));
    }
}

#[tokio::test]
async fn a_lock_is_one_script_to_take_and_one_to_give_back() {
    let backend = Backend::redis("").await;
    let locks = LockManager::new(backend.store.clone(), LockOptions::default()).unwrap();
    let cold =
        commands(&backend, async { locks.try_acquire("job").await.unwrap().acquired().unwrap().release().await });
    assert_eq!(cold.await["eval"], 2, "a script the server does not know is sent with its body");
    let mut guard = None;
    let take = commands(&backend, async { guard = locks.try_acquire("job").await.unwrap().acquired() }).await;
    assert_eq!(take, executed(&[("evalsha", 1), ("incr", 1), ("set", 1)]));
    let held = commands(&backend, locks.try_acquire("job")).await;
    assert_eq!(held, executed(&[("evalsha", 1), ("get", 1), ("pttl", 1), ("set", 1)]));
    let give = commands(&backend, guard.unwrap().release()).await;
    assert_eq!(give, executed(&[("del", 1), ("evalsha", 1), ("get", 1)]));
}

#[tokio::test]
async fn a_share_is_one_script_to_take_and_one_to_give_back() {
    let backend = Backend::redis("").await;
    let locks = LockManager::new(backend.store.clone(), LockOptions::default()).unwrap();
    let (lock, semaphore) = (locks.rw_lock("job").unwrap(), locks.semaphore("job", 2).unwrap());
    let warm = lock.try_read().await.unwrap().unwrap();
    warm.release().await.unwrap();
    let mut guard = None;
    let take = commands(&backend, async { guard = lock.try_read().await.unwrap() }).await;
    let full = commands(&backend, lock.try_write()).await;
    let give = commands(&backend, guard.unwrap().release()).await;
    let permit = commands(&backend, async { semaphore.try_acquire().await.unwrap().unwrap().release().await }).await;
    for (calls, scripts) in [(&take, 1), (&full, 1), (&give, 1), (&permit, 2)] {
        assert_eq!(calls["evalsha"], scripts, "{calls:?}");
    }
    assert!(!full.contains_key("set"), "a try that finds it taken takes no number");
}

#[tokio::test]
async fn a_check_is_one_script_and_a_denial_writes_nothing() {
    let backend = Backend::redis("").await;
    let quota = Quota::per_hour(10).burst(2);
    let limiter = RateLimiter::new(backend.store.clone(), quota, RateLimitOptions::default()).unwrap();
    limiter.check("ada").await.unwrap();
    let admitted = commands(&backend, limiter.check("ada")).await;
    assert_eq!(admitted, executed(&[("evalsha", 1), ("get", 1), ("set", 1), ("time", 1)]));
    for call in [commands(&backend, limiter.check("ada")).await, commands(&backend, limiter.peek("ada")).await] {
        assert_eq!(call, executed(&[("evalsha", 1), ("get", 1), ("time", 1)]));
    }
    assert_eq!(commands(&backend, limiter.reset("ada")).await, executed(&[("unlink", 1)]));
}

#[tokio::test]
async fn a_bucket_takes_no_more_than_130_bytes() {
    let backend = Backend::redis("").await;
    let limiter = RateLimiter::new(backend.store.clone(), Quota::per_second(10), RateLimitOptions::default()).unwrap();
    limiter.check("198.51.10.7").await.unwrap();
    let server = backend.server.as_ref().unwrap();
    let Reply::Array(keys) = server.call(&["KEYS", "*"]).unwrap() else { panic!("no keys") };
    let key = keys[0].text().unwrap();
    assert_eq!((keys.len(), key.len()), (1, 23));
    // With its key, its end, and its place in both tables.
    let Reply::Integer(bytes) = server.call(&["MEMORY", "USAGE", key]).unwrap() else { panic!("no size") };
    assert!(bytes <= 130, "{bytes}");
}

#[tokio::test]
async fn a_window_is_one_script_and_a_denial_writes_nothing() {
    let backend = Backend::redis("").await;
    for algorithm in
        [Algorithm::FixedWindow, Algorithm::AlignedWindow, Algorithm::SlidingWindow, Algorithm::IntervalRefill]
    {
        // Windows of 50 years: none of them ends meanwhile.
        let quota = Quota::per(2, Duration::from_secs(50 * 365 * 24 * 60 * 60)).algorithm(algorithm);
        let limiter = RateLimiter::new(backend.store.clone(), quota, RateLimitOptions::default()).unwrap();
        limiter.check("ada").await.unwrap();
        let admitted = commands(&backend, limiter.check("ada")).await;
        assert_eq!(admitted, executed(&[("evalsha", 1), ("get", 1), ("set", 1), ("time", 1)]), "{algorithm:?}");
        for call in [
            commands(&backend, limiter.check("ada")).await,
            commands(&backend, limiter.check_at_most("ada", 2)).await,
            commands(&backend, limiter.peek("ada")).await,
            commands(&backend, limiter.refund("ada", 0)).await,
        ] {
            assert_eq!(call, executed(&[("evalsha", 1), ("get", 1), ("time", 1)]), "{algorithm:?}");
        }
        assert_eq!(commands(&backend, limiter.reset("ada")).await, executed(&[("unlink", 1)]));
    }
}

#[tokio::test]
async fn a_log_is_read_in_few_places_and_takes_twelve_bytes_a_request() {
    let backend = Backend::redis("").await;
    let quota = Quota::per_hour(1000).algorithm(Algorithm::SlidingLog);
    let limiter = RateLimiter::new(backend.store.clone(), quota, RateLimitOptions::default()).unwrap();
    for _ in 0..999 {
        limiter.check("ada").await.unwrap();
    }
    let admitted = commands(&backend, limiter.check("ada")).await;
    let read = [("evalsha", 1), ("strlen", 1), ("time", 1)];
    assert_eq!(admitted, executed(&[read.as_slice(), &[("append", 1), ("getrange", 3), ("pexpire", 1)]].concat()));
    let denied = commands(&backend, limiter.check("ada")).await;
    assert_eq!(denied, executed(&[read.as_slice(), &[("getrange", 5)]].concat()));
    let key = "ratelimit:{ada}:log:3600000000";
    assert_eq!(backend.store.get(key).await.unwrap().unwrap().len(), 12 * 1001);
}

#[tokio::test]
async fn a_slot_is_one_script_to_take_and_one_to_free() {
    let backend = Backend::redis("").await;
    let slots = ConcurrencyLimiter::new(backend.store.clone(), 1, ConcurrencyOptions::default()).unwrap();
    let held = slots.try_acquire("warm").await.unwrap().admitted().unwrap();
    held.release().await.unwrap();
    let mut slot = None;
    let take = commands(&backend, async { slot = slots.try_acquire("job").await.unwrap().admitted() }).await;
    assert_eq!((take["evalsha"], take["zadd"]), (1, 1));
    let denied = commands(&backend, slots.try_acquire("job")).await;
    assert!(denied["evalsha"] == 1 && !denied.contains_key("zadd"), "{denied:?}");
    let free = commands(&backend, slot.unwrap().release()).await;
    assert_eq!((free["evalsha"], free["zrem"]), (1, 1));
}

#[tokio::test]
async fn a_hit_is_one_get_and_a_miss_two_scripts_more() {
    let backend = Backend::redis("").await;
    let cache = Cache::<String>::new(backend.store.clone(), CacheOptions::default()).unwrap();
    let load = || async { Ok::<_, io::Error>(Some("v".to_owned())) };
    cache.get_or_load("warm", load).await.unwrap();
    let miss = commands(&backend, cache.get_or_load("k", load)).await;
    // The entry is looked for twice: the second time as the lease is taken, which is looked at as the entry is stored.
    let scripts = [("del", 1), ("get", 2), ("getrange", 1), ("set", 2), ("time", 1)];
    assert_eq!(miss, executed(&[&[("evalsha", 2)], &scripts[..]].concat()));
    assert_eq!(commands(&backend, cache.get_or_load("k", load)).await, executed(&[("get", 1)]));
    assert_eq!(commands(&backend, cache.get("k")).await, executed(&[("get", 1)]));
    cache.invalidate("warm").await.unwrap();
    let invalidates = commands(&backend, cache.invalidate("k")).await;
    assert_eq!(invalidates, executed(&[("del", 1), ("evalsha", 1), ("publish", 1), ("unlink", 1)]));
}

/// One cold key, all at once, in so many processes: the loads, the commands that were sent, and how long after the load the last one waited.
async fn stampede(server: &Backend, caches: &[Cache<String>], key: &str, gets: usize) -> (usize, u32, Duration) {
    let (loads, load) = (Arc::new(AtomicUsize::new(0)), Duration::from_millis(50));
    let mut slowest = Duration::ZERO;
    let all = async {
        let started = Instant::now();
        let mut tasks = JoinSet::new();
        for get in 0..gets {
            let (cache, key, loads) = (caches[get % caches.len()].clone(), key.to_owned(), loads.clone());
            tasks.spawn(async move {
                let loader = || async move {
                    loads.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(load).await;
                    Ok::<_, io::Error>(Some("v".to_owned()))
                };
                assert_eq!(*cache.get_or_load(&key, loader).await.unwrap().unwrap(), "v");
            });
        }
        while let Some(get) = tasks.join_next().await {
            get.unwrap();
        }
        slowest = started.elapsed().saturating_sub(load);
    };
    let executed = commands(server, all).await;
    let sent = |name: &str| executed.get(name).copied().unwrap_or_default();
    // What the commit gets, it gets within its script.
    let commands = sent("evalsha") + sent("eval") + sent("subscribe") + sent("get") - 1;
    (loads.load(Ordering::SeqCst), commands, slowest)
}

#[tokio::test]
async fn a_stampede_of_processes_is_one_load_and_a_handful_of_commands() {
    let server = Backend::redis("").await;
    let url = server.server.as_ref().unwrap().url();
    for (processes, gets, most) in [(1, 2000, 3), (4, 2000, 16), (8, 10_000, 19)] {
        let mut caches = Vec::new();
        for _ in 0..processes {
            let store = Arc::new(RedisStore::connect_with(&url, patient()).await.unwrap());
            // Longer than a busy machine keeps a process from its turn.
            let patient = CacheOptions::default()
                .budget(None)
                .lease(Duration::from_secs(60))
                .load_timeout(Duration::from_secs(60));
            caches.push(Cache::new(store, patient).unwrap());
        }
        // The first time each process that waits has to subscribe, and to look once more then; and on a busy machine some look again.
        let mut fewest = u32::MAX;
        for round in 0..10 {
            let key = format!("{processes} {round}");
            let (loads, commands, slowest) = stampede(&server, &caches, &key, gets).await;
            println!(
                "{processes} processes, {gets} gets: {loads} load, {commands} commands, the last {slowest:?} after it"
            );
            assert_eq!(loads, 1);
            fewest = fewest.min(commands);
            if round > 0 && fewest <= most {
                break;
            }
        }
        assert!(fewest <= most, "{fewest} commands of {processes} processes");
    }
}

#[tokio::test]
async fn a_limiter_in_memory_keeps_one_key_per_id() {
    let store = MemoryStore::new();
    let limiter = RateLimiter::new(Arc::new(store.clone()), Quota::per_second(5), RateLimitOptions::default()).unwrap();
    for i in 0..100 {
        limiter.check(&format!("client {}", i % 10)).await.unwrap();
    }
    assert_eq!(store.len(), 10);
    store.clock().advance(Duration::from_secs(10));
    assert!(store.is_empty(), "and forgets those who are away");
}
