//! The guard against ids that do not exist, on every backend: whatever happens to its filter, nothing that was inserted is absent.

use crate::backend::{Backend, cases, eventually, on_every_backend, patient};
use kv_core::{
    Arg, Around, Call, Clock, Cursor, ErrorKind, KvStore, KvStoreExt, Layered, MemoryStore, Namespaced, Reply,
    SetOptions, Ttl,
};
use kv_redis::RedisStore;
use proptest::prelude::*;
use redis_cache::{BLOOM_SCRIPTS, BloomGuard, BloomOptions, Guard};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::sync::Notify;

on_every_backend!(
    a_filter_knows_what_was_inserted,
    without_a_filter_everything_may_exist,
    a_rebuild_forgets_and_never_lets_an_id_vanish,
    half_a_rebuild_changes_nothing,
    the_last_of_two_rebuilds_wins,
    other_options_are_another_filter,
    the_filter_expires_and_says_so,
    a_mirror_knows_what_is_inserted_here_at_once,
    a_mirror_hears_of_others_in_time,
);

mod pages {
    use super::the_filter_is_in_several_pages;

    crate::backend::on_every_backend!(@one_server the_filter_is_in_several_pages);
}

fn options() -> BloomOptions {
    BloomOptions::default().capacity(2_000)
}

fn guard(backend: &Backend, options: BloomOptions) -> BloomGuard {
    BloomGuard::new(backend.store.clone(), "products", options).expect("valid options")
}

fn ids(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|id| id.to_string()).collect()
}

fn strs(ids: &[String]) -> Vec<&str> {
    ids.iter().map(String::as_str).collect()
}

async fn fill(guard: &BloomGuard, range: std::ops::Range<u32>) {
    let mut rebuild = guard.rebuild().await.unwrap();
    for batch in ids(range).chunks(700) {
        rebuild.insert(&strs(batch)).await.unwrap();
    }
    rebuild.commit().await.unwrap();
}

/// How many of these may exist.
async fn present(guard: &BloomGuard, range: std::ops::Range<u32>) -> usize {
    let mut count = 0;
    for id in ids(range) {
        count += usize::from(guard.may_contain(&id).await);
    }
    count
}

async fn a_filter_knows_what_was_inserted(backend: &Backend) {
    let guard = guard(backend, options());
    fill(&guard, 0..1000).await;
    guard.insert(&strs(&ids(1000..1100))).await.unwrap();
    guard.insert(&[]).await.unwrap();
    assert_eq!(present(&guard, 0..1100).await, 1100);
    let wrong = present(&guard, 5000..5500).await;
    assert!(wrong <= 10, "{wrong} of 500");
    let stats = guard.stats().await.unwrap();
    assert!(stats.ready && stats.fill_ratio > 0.2 && stats.fill_ratio < 0.5, "{stats:?}");
    assert!(stats.error_rate > 0.0 && stats.error_rate < 0.01, "{stats:?}");
    assert_eq!((stats.present, stats.absent), (1100 + wrong as u64, 500 - wrong as u64), "{stats:?}");
    assert_eq!((stats.unready, stats.store_errors), (0, 0));
    assert!(guard.may_exist("7").await, "the same as a guard of any kind");
}

async fn without_a_filter_everything_may_exist(backend: &Backend) {
    let guard = guard(backend, options());
    assert_eq!(present(&guard, 0..20).await, 20);
    // There is nothing to insert it in, and half a filter would deny the rest.
    guard.insert(&["1"]).await.unwrap();
    assert_eq!(present(&guard, 0..20).await, 20);
    assert!(!guard.stats().await.unwrap().ready);
    fill(&guard, 0..10).await;
    assert!(present(&guard, 1000..1020).await < 5);
    for key in page_keys(backend).await {
        backend.store.delete(&[&key]).await.unwrap();
    }
    assert_eq!(present(&guard, 1000..1020).await, 20, "evicted, or deleted by hand");
    guard.insert(&["1"]).await.unwrap();
    assert_eq!(present(&guard, 1000..1020).await, 20);
    let stats = guard.stats().await.unwrap();
    assert!(stats.unready >= 60, "{stats:?}");
}

/// The keys of all filters, by their names.
async fn page_keys(backend: &Backend) -> Vec<String> {
    let scan = backend.store.require_scan("test").unwrap();
    let (mut keys, mut cursor) = (Vec::new(), Some(Cursor::default()));
    while let Some(at) = cursor {
        let page = scan.scan_page("bloom:", &at, 1000).await.unwrap();
        keys.extend(page.keys);
        cursor = page.next;
    }
    keys.sort();
    keys.dedup();
    keys
}

async fn a_rebuild_forgets_and_never_lets_an_id_vanish(backend: &Backend) {
    let guard = guard(backend, options());
    fill(&guard, 0..500).await;
    let mut rebuild = guard.rebuild().await.unwrap();
    guard.insert(&["during"]).await.unwrap();
    rebuild.insert(&strs(&ids(0..250))).await.unwrap();
    assert_eq!(present(&guard, 0..500).await, 500, "the old one is in force");
    assert!(guard.may_contain("during").await);
    rebuild.commit().await.unwrap();
    assert_eq!(present(&guard, 0..250).await, 250);
    assert!(present(&guard, 250..500).await < 25, "what is gone is forgotten");
    assert!(guard.may_contain("during").await, "it went to both");
    assert_eq!(page_keys(backend).await.len(), 1);
}

async fn half_a_rebuild_changes_nothing(backend: &Backend) {
    let guard = guard(backend, options());
    let mut first = guard.rebuild().await.unwrap();
    first.insert(&strs(&ids(0..100))).await.unwrap();
    drop(first);
    assert_eq!(present(&guard, 500..520).await, 20, "half of the first filter is none");
    fill(&guard, 0..500).await;
    let mut rebuild = guard.rebuild().await.unwrap();
    rebuild.insert(&strs(&ids(0..10))).await.unwrap();
    drop(rebuild);
    guard.insert(&["later"]).await.unwrap();
    assert_eq!(present(&guard, 0..500).await, 500);
    assert!(guard.may_contain("later").await);
    for key in page_keys(backend).await {
        let ttl = backend.store.ttl(&key).await.unwrap();
        let most = Duration::from_secs(if key.ends_with(":next") { 600 } else { 86_400 });
        assert!(matches!(ttl, Ttl::Remaining(left) if left <= most), "{key}: {ttl:?}");
    }
}

async fn the_last_of_two_rebuilds_wins(backend: &Backend) {
    let guard = guard(backend, options());
    fill(&guard, 0..100).await;
    let mut first = guard.rebuild().await.unwrap();
    let mut second = guard.rebuild().await.unwrap();
    second.insert(&strs(&ids(0..100))).await.unwrap();
    let error = first.insert(&["1"]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert_eq!(first.commit().await.unwrap_err().kind(), ErrorKind::Rejected);
    assert_eq!(present(&guard, 0..100).await, 100);
    second.commit().await.unwrap();
    assert_eq!(present(&guard, 0..100).await, 100);
    let mut third = guard.rebuild().await.unwrap();
    for key in page_keys(backend).await.iter().filter(|key| key.ends_with(":next")) {
        backend.store.delete(&[key]).await.unwrap();
    }
    assert_eq!(third.insert(&["1"]).await.unwrap_err().kind(), ErrorKind::Rejected, "evicted");
    assert_eq!(third.commit().await.unwrap_err().kind(), ErrorKind::Rejected);
    assert_eq!(present(&guard, 0..100).await, 100);
}

async fn other_options_are_another_filter(backend: &Backend) {
    fill(&guard(backend, options()), 0..100).await;
    for other in [options().capacity(50_000), options().error_rate(0.1), options().seed(1), options().prefix("other")] {
        let other = guard(backend, other);
        assert_eq!(present(&other, 0..20).await + present(&other, 500..520).await, 40);
    }
    let name = BloomGuard::new(backend.store.clone(), "other", options()).unwrap();
    assert_eq!(present(&name, 500..520).await, 20);
    assert!(present(&guard(backend, options().ttl(Duration::from_secs(5))), 500..520).await < 5, "but for its ttl");
}

async fn the_filter_expires_and_says_so(backend: &Backend) {
    let guard = guard(backend, options().ttl(Duration::from_millis(400)));
    fill(&guard, 0..100).await;
    backend.pass(Duration::from_millis(450)).await;
    assert_eq!(present(&guard, 500..520).await, 20);
    assert!(page_keys(backend).await.is_empty());
}

async fn a_mirror_knows_what_is_inserted_here_at_once(backend: &Backend) {
    let guard = guard(backend, options().mirror(Duration::from_secs(3600)));
    assert_eq!(present(&guard, 0..20).await, 20, "there is none");
    let writer = BloomGuard::new(backend.store.clone(), "products", options()).unwrap();
    fill(&writer, 0..500).await;
    let guard =
        BloomGuard::new(backend.store.clone(), "products", options().mirror(Duration::from_secs(3600))).unwrap();
    assert_eq!(present(&guard, 0..500).await, 500);
    assert!(!guard.may_contain("mine").await);
    guard.insert(&["mine"]).await.unwrap();
    assert!(guard.may_contain("mine").await && writer.may_contain("mine").await);
    // It asks nobody.
    for key in page_keys(backend).await {
        backend.store.delete(&[&key]).await.unwrap();
    }
    assert!(guard.may_contain("mine").await && !guard.may_contain("nobody's").await);
    assert!(writer.may_contain("nobody's").await);
}

async fn a_mirror_hears_of_others_in_time(backend: &Backend) {
    let age = Duration::from_millis(30);
    let guard = guard(backend, options().mirror(age));
    let writer = BloomGuard::new(backend.store.clone(), "products", options()).unwrap();
    fill(&writer, 0..500).await;
    assert_eq!(present(&guard, 0..500).await, 500);
    for round in 0..5 {
        let id = format!("theirs {round}");
        writer.insert(&[&id]).await.unwrap();
        tokio::time::sleep(age).await;
        assert!(guard.may_contain(&id).await, "{id}");
    }
    fill(&writer, 500..600).await;
    tokio::time::sleep(age).await;
    assert_eq!(present(&guard, 500..600).await, 100);
    assert!(present(&guard, 0..500).await < 50);
    for key in page_keys(backend).await {
        backend.store.delete(&[&key]).await.unwrap();
    }
    tokio::time::sleep(age).await;
    assert!(guard.may_contain("nobody's").await, "the filter is gone");
}

/// 64 MiB and a little more.
async fn the_filter_is_in_several_pages(backend: &Backend) {
    let guard = guard(backend, BloomOptions::default().capacity(60_000_000));
    fill(&guard, 0..500).await;
    let pages = page_keys(backend).await;
    assert_eq!(pages.len(), 2);
    assert_eq!(present(&guard, 0..500).await, 500);
    assert!(present(&guard, 1000..1500).await < 5);
    backend.store.delete(&[&pages[0]]).await.unwrap();
    assert_eq!(present(&guard, 0..500).await, 500);
    let open = present(&guard, 1000..1500).await;
    assert!((150..350).contains(&open), "what was in the page that is gone may exist: {open}");
    assert!(!guard.stats().await.unwrap().ready);
}

#[tokio::test]
async fn what_is_inserted_during_rebuilds_is_never_absent() {
    let backend = Backend::redis("").await;
    let guard = guard(&backend, BloomOptions::default().capacity(20_000));
    fill(&guard, 0..100).await;
    // What exists, written before its id is inserted, and read after a rebuild begins.
    let database = Arc::new(Mutex::new(vec!["99".to_owned()]));
    let (builder, rows) = (guard.clone(), database.clone());
    let rebuilding = tokio::spawn(async move {
        for rebuilt in 0_u32.. {
            let mut rebuild = builder.rebuild().await.unwrap();
            let ids = rows.lock().unwrap().clone();
            for batch in ids.chunks(20) {
                rebuild.insert(&strs(batch)).await.unwrap();
            }
            rebuild.commit().await.unwrap();
            if ids.len() > 200 && rebuilt > 5 {
                break;
            }
        }
    });
    while !rebuilding.is_finished() {
        let id = database.lock().unwrap().len().to_string();
        database.lock().unwrap().push(id.clone());
        guard.insert(&[&id]).await.unwrap();
        assert!(guard.may_contain(&id).await && guard.may_contain("99").await, "{id}");
    }
    rebuilding.await.unwrap();
    let ids = database.lock().unwrap().clone();
    for id in ids {
        assert!(guard.may_contain(&id).await, "{id}");
    }
    assert!(!guard.may_contain("nobody's").await);
}

/// Hands over what was read only when it is told to.
#[derive(Clone, Debug, Default)]
struct Slow {
    read: Arc<Notify>,
    hand_over: Arc<Notify>,
}

impl Around for Slow {
    async fn around<T: Send>(&self, mut call: Call<'_, T>) -> kv_core::Result<T> {
        let answer = call.run().await;
        if call.name() == "get" {
            self.read.notify_one();
            self.hand_over.notified().await;
        }
        answer
    }
}

#[tokio::test]
async fn what_is_inserted_while_a_mirror_is_read_is_in_it() {
    let slow = Slow::default();
    let store = Arc::new(Layered::new(MemoryStore::new(), slow.clone()));
    let guard = BloomGuard::new(store, "products", options().mirror(Duration::from_secs(3600))).unwrap();
    fill(&guard, 0..100).await;
    for (id, dropped) in [("dropped", true), ("read", false)] {
        let looker = guard.clone();
        let looking = tokio::spawn(async move { looker.may_contain("nobody's").await });
        slow.read.notified().await;
        guard.insert(&[id]).await.unwrap();
        assert!(guard.may_contain(id).await, "the store is asked meanwhile");
        assert!(!guard.may_contain("nobody's").await);
        if dropped {
            looking.abort();
            assert!(looking.await.is_err());
        } else {
            slow.hand_over.notify_one();
            assert!(!looking.await.unwrap());
        }
    }
    assert!(guard.may_contain("dropped").await && guard.may_contain("read").await);
    assert!(!guard.may_contain("nobody's").await);
}

#[tokio::test]
async fn while_the_store_is_away_everything_may_exist() {
    let backend = Backend::redis("").await;
    let server = backend.server.as_ref().unwrap();
    let quick = patient().deadline(Duration::from_millis(300)).connect_timeout(Duration::from_millis(300));
    let store = Arc::new(RedisStore::connect_with(&server.url(), quick).await.unwrap());
    let plain = BloomGuard::new(store.clone(), "products", options()).unwrap();
    let mirrored = BloomGuard::new(store.clone(), "products", options().mirror(Duration::from_millis(1))).unwrap();
    fill(&plain, 0..100).await;
    assert!(!plain.may_contain("nobody's").await && !mirrored.may_contain("nobody's").await);
    server.pause().unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert!(plain.may_contain("nobody's").await && mirrored.may_contain("nobody's").await);
    assert!(plain.insert(&["1"]).await.is_err());
    server.resume().unwrap();
    eventually("an answer", || async { plain.stats().await.is_ok_and(|stats| stats.store_errors >= 1) }).await;
    assert!(!plain.may_contain("nobody's").await);
}

#[tokio::test]
async fn a_store_that_cannot_is_refused() {
    let small = MemoryStore::new().with_limits(kv_core::Limits::default().max_value_bytes(10_000));
    let error = BloomGuard::new(Arc::new(small), "products", BloomOptions::default()).unwrap_err();
    assert!(error.kind() == ErrorKind::InvalidConfig && error.to_string().contains("capacity"), "{error}");
    let memory = || Arc::new(MemoryStore::new());
    assert!(BloomGuard::new(memory(), "", options()).is_err());
    assert!(BloomGuard::new(memory(), "a}b", options()).is_ok());
    assert!(BloomGuard::new(memory(), "a", options().prefix("{")).is_err());
    let namespaced = Arc::new(Namespaced::new(MemoryStore::new(), "app").unwrap());
    fill(&BloomGuard::new(namespaced, "products", options()).unwrap(), 0..10).await;
}

/// One step of a random sequence: the script, and numbers to make its arguments of.
#[derive(Clone, Debug)]
enum Step {
    Run(usize, u8, u16),
    Delete(u8),
    Put(u8, Vec<u8>),
    OtherType(u8),
}

const SIZE: i64 = 128;

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3_usize, 0..4_u8, any::<u16>()).prop_map(|(script, token, number)| Step::Run(script, token, number)),
        1 => (0..4_u8).prop_map(Step::Delete),
        1 => (0..4_u8, proptest::collection::vec(any::<u8>(), 0..200)).prop_map(|(key, value)| Step::Put(key, value)),
        1 => (0..4_u8).prop_map(Step::OtherType),
    ]
}

const HOUR: i64 = 3_600_000;

async fn take(backend: &Backend, step: &Step, keys: &[String; 4]) -> Result<Reply, ErrorKind> {
    let key = |which: u8| &*keys[usize::from(which)];
    match step {
        Step::Delete(which) => drop(backend.store.delete(&[key(*which)]).await.unwrap()),
        Step::Put(which, value) => drop(backend.store.set(key(*which), value, SetOptions::default()).await.unwrap()),
        Step::OtherType(which) => {
            backend.store.delete(&[key(*which)]).await.unwrap();
            backend.put_other_type(key(*which)).await;
        }
        Step::Run(script, token, number) => {
            let rebuild = [b'a' + token; 16];
            let head = [&b"head    "[..], &rebuild, &[0; 40]].concat();
            let (size, ttl) = (Arg::Int(SIZE), Arg::Int(HOUR * i64::from(number % 5 + 1)));
            let bits: Vec<_> =
                (0..number % 4).map(|nth| Arg::Int((i64::from(*number) * 31 + i64::from(nth) * 7) % 1024)).collect();
            let (keys, args): (&[usize], Vec<Arg<'_>>) = match script {
                0 => (if number % 2 == 0 { &[2] } else { &[3] }, vec![size, Arg::Bytes(&head), ttl]),
                1 => {
                    let rebuild = if *token == 0 { &b""[..] } else { &rebuild };
                    (
                        if number % 2 == 0 { &[0, 2] } else { &[1, 3] },
                        [vec![size, Arg::Bytes(rebuild), ttl], bits].concat(),
                    )
                }
                _ => (if number % 2 == 0 { &[0, 1, 2, 3] } else { &[0, 2] }, vec![size, Arg::Bytes(&rebuild), ttl]),
            };
            let keys: Vec<&str> = keys.iter().map(|at| key(*at as u8)).collect();
            return backend.run(BLOOM_SCRIPTS[*script], &keys, &args).await.map_err(|error| error.kind());
        }
    }
    Ok(Reply::Nil)
}

/// The value or its error, and the hours it has left.
async fn look(store: &dyn KvStore, key: &str) -> (Result<Option<bytes::Bytes>, ErrorKind>, Option<u64>) {
    let ttl = match store.ttl(key).await.unwrap() {
        Ttl::Remaining(left) => Some(left.as_secs().div_ceil(3600)),
        Ttl::Unlimited => Some(u64::MAX),
        Ttl::Missing => None,
    };
    (store.get(key).await.map_err(|error| error.kind()), ttl)
}

#[test]
fn bloom_scripts_equal_their_twins() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let redis = runtime.block_on(Backend::redis(""));
    let mut memory = Backend::memory();
    memory.store = Arc::new(MemoryStore::with_clock(Clock::manual(1_700_000_000_000_000)));
    let case = AtomicU32::new(0);
    proptest!(cases(60), |(steps in proptest::collection::vec(step(), 1..40))| {
        let case = case.fetch_add(1, Ordering::Relaxed);
        let keys = [0, 1, 2, 3].map(|key| format!("{{{case}}}:{key}"));
        runtime.block_on(async {
            for step in &steps {
                prop_assert_eq!(take(&redis, step, &keys).await, take(&memory, step, &keys).await, "{:?}", step);
                for key in &keys {
                    prop_assert_eq!(look(&*redis.store, key).await, look(&*memory.store, key).await, "{} after {:?}", key, step);
                }
            }
            Ok(())
        })?;
    });
}
