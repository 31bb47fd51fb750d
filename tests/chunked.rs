//! Large values in parts: read whole or not at all, whoever writes meanwhile and wherever it stops.

mod failures;
mod model;
mod races;

use crate::backend::{Backend, on_every_backend};
use kv_core::{
    Around, Call, ChunkOptions, ErrorKind, Executed, KvStore, KvStoreExt, Layered, Layers, Limits, MemoryStore, Result,
    SetOptions, Ttl,
};
use redis_compress::{CompressOptions, Compressed};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

const MINUTE: Duration = Duration::from_secs(60);

on_every_backend!(
    a_value_comes_back_whatever_its_length,
    a_shorter_value_leaves_nothing_of_the_longer,
    values_of_others_are_read_as_they_are,
    a_value_that_lost_a_part_is_a_typed_error,
);

fn options() -> ChunkOptions {
    ChunkOptions::default().part_bytes(10).max_bytes(1000).parts_per_trip(2).ttl(MINUTE)
}

/// A value that tells where each of its bytes belongs.
fn value(tag: u8, len: usize) -> Vec<u8> {
    (0..len).map(|at| tag ^ at as u8).collect()
}

async fn a_value_comes_back_whatever_its_length(backend: &Backend) {
    let store = &backend.store;
    assert_eq!(store.get_chunked("key", &options()).await.unwrap(), None);
    assert!(!store.delete_chunked("key").await.unwrap());
    for len in [0, 1, 9, 10, 11, 20, 21, 40, 999, 1000] {
        store.set_chunked("key", &value(1, len), &options()).await.unwrap();
        assert_eq!(store.get_chunked("key", &options()).await.unwrap().unwrap(), value(1, len), "{len}");
        // A reader need not know how it was cut.
        let others = ChunkOptions::default();
        assert_eq!(store.get_chunked("key", &others).await.unwrap().unwrap(), value(1, len), "{len}");
        assert!(matches!(store.ttl("key").await.unwrap(), Ttl::Remaining(left) if left <= MINUTE));
    }
    assert!(store.delete_chunked("key").await.unwrap());
    assert_eq!(store.get_chunked("key", &options()).await.unwrap(), None);
}

async fn a_shorter_value_leaves_nothing_of_the_longer(backend: &Backend) {
    let store = &backend.store;
    for len in [100, 35, 20, 3, 50, 0] {
        store.set_chunked("key", &value(2, len), &options()).await.unwrap();
        assert_eq!(store.get_chunked("key", &options()).await.unwrap().unwrap(), value(2, len));
    }
    let large = options().part_bytes(1 << 20).max_bytes(8 << 20);
    let value = value(3, 5 << 20);
    store.set_chunked("key", &value, &large).await.unwrap();
    assert_eq!(store.get_chunked("key", &large).await.unwrap().unwrap(), value);
}

async fn values_of_others_are_read_as_they_are(backend: &Backend) {
    let store = &backend.store;
    for plain in [&b""[..], b"plain", b"\xf8K", b"\xf8KZ\x01", &[7; 500]] {
        store.set("key", plain, SetOptions::default()).await.unwrap();
        assert_eq!(store.get_chunked("key", &options()).await.unwrap().unwrap(), plain);
    }
    // What would be taken for a manifest is written as none.
    for marked in [&b"\xf8KC"[..], b"\xf8KC\x00", b"\xf8KC\x01", b"\xf8KC\x01\x00\x00\x00\x00\x00"] {
        store.set_chunked("key", marked, &options()).await.unwrap();
        assert_eq!(store.get_chunked("key", &options()).await.unwrap().unwrap(), marked);
    }
    // A write replaces what it cannot read, and another type.
    store.set("key", b"\xf8KC\x01no manifest", SetOptions::default()).await.unwrap();
    assert_eq!(store.get_chunked("key", &options()).await.unwrap_err().kind(), ErrorKind::Corrupt);
    store.set_chunked("key", &value(1, 30), &options()).await.unwrap();
    backend.put_other_type("other").await;
    assert_eq!(store.get_chunked("other", &options()).await.unwrap_err().kind(), ErrorKind::WrongType);
    store.set_chunked("other", &value(1, 30), &options()).await.unwrap();
    assert_eq!(store.get_chunked("other", &options()).await.unwrap().unwrap(), value(1, 30));
}

/// The generation of what stands under a key, as its parts' keys show it.
async fn part_key(store: &dyn KvStore, part: u32) -> String {
    let manifest = store.get("key").await.unwrap().unwrap();
    let generation = u64::from_be_bytes(manifest[4..12].try_into().unwrap());
    format!("key:part:{generation:016x}:{part}")
}

async fn a_value_that_lost_a_part_is_a_typed_error(backend: &Backend) {
    let store = &backend.store;
    for part in 0..3 {
        for instead in [None, Some(&b""[..]), Some(&[1; 9]), Some(&[1; 11])] {
            store.set_chunked("key", &value(1, 30), &options()).await.unwrap();
            let lost = part_key(&**store, part).await;
            assert_eq!(store.delete(&[&lost]).await.unwrap(), 1);
            if let Some(instead) = instead {
                store.set(&lost, instead, SetOptions::default()).await.unwrap();
            }
            let error = store.get_chunked("key", &options()).await.unwrap_err();
            assert_eq!((error.kind(), error.operation()), (ErrorKind::Corrupt, "get_chunked"));
        }
    }
    store.set_chunked("key", &value(1, 30), &options()).await.unwrap();
    assert_eq!(store.get_chunked("key", &options()).await.unwrap().unwrap(), value(1, 30));
    // The length of all is not enough.
    store.set(&part_key(&**store, 0).await, &[1; 9], SetOptions::default()).await.unwrap();
    store.set(&part_key(&**store, 1).await, &[1; 11], SetOptions::default()).await.unwrap();
    assert_eq!(store.get_chunked("key", &options()).await.unwrap_err().kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn what_can_never_work_is_refused_before_anything_is_sent() {
    let store = MemoryStore::new();
    let refused = [
        (options().part_bytes(0), "part_bytes"),
        (options().part_bytes(usize::MAX), "part_bytes"),
        (options().max_bytes(0), "max_bytes"),
        (options().parts_per_trip(0), "parts_per_trip"),
        (options().grace(Duration::ZERO), "grace"),
        (options().ttl(Duration::ZERO), "ttl"),
        (options().ttl(Duration::MAX), "ttl"),
    ];
    for (options, field) in refused {
        let errors = [
            store.set_chunked("key", b"", &options).await.unwrap_err(),
            store.get_chunked("key", &options).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::InvalidConfig);
            assert!(error.to_string().contains(field), "{error} names {field}");
        }
    }
    let many = options().part_bytes(1).max_bytes(1 << 20);
    for (key, len, options) in [("key", 1001, options()), ("key", (1 << 16) + 1, many), ("", 1, options())] {
        let error = store.set_chunked(key, &vec![0; len], &options).await.unwrap_err();
        assert_eq!((error.kind(), error.executed()), (ErrorKind::InvalidInput, Executed::No), "{error}");
    }
    let small = MemoryStore::new().with_limits(Limits::default().max_value_bytes(9));
    assert!(small.set_chunked("key", &[0; 30], &options()).await.unwrap_err().to_string().contains("part_bytes"));
    assert!(store.is_empty() && small.is_empty());
}

#[tokio::test]
async fn a_hostile_manifest_is_refused_without_a_look_at_its_parts() {
    let store = MemoryStore::new();
    let manifest = |part_bytes: u64, total: u64| {
        [&b"\xf8KC\x01"[..], [7, part_bytes, total].map(u64::to_be_bytes).as_flattened()].concat()
    };
    let hostile = [(1, u64::MAX), (u64::MAX - 1, u64::MAX), (1 << 40, 1 << 50), (0, 1), (1, 1 << 17), (10, 1001)];
    for (part_bytes, total) in hostile {
        let counted = Counted::default();
        let store = Layered::new(store.clone(), counted.clone());
        store.set("key", &manifest(part_bytes, total), SetOptions::default()).await.unwrap();
        assert_eq!(store.get_chunked("key", &options()).await.unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(counted.count("mget"), 0, "{part_bytes} {total}");
        store.set_chunked("key", b"new", &options()).await.unwrap();
    }
}

/// How often each operation is called.
#[derive(Clone, Debug, Default)]
struct Counted(Arc<Mutex<HashMap<&'static str, u32>>>);

impl Counted {
    fn count(&self, name: &str) -> u32 {
        self.0.lock().unwrap().get(name).copied().unwrap_or(0)
    }

    fn all(&self) -> u32 {
        std::mem::take(&mut *self.0.lock().unwrap()).values().sum()
    }
}

impl Around for Counted {
    async fn around<T: Send>(&self, mut call: Call<'_, T>) -> Result<T> {
        *self.0.lock().unwrap().entry(call.name()).or_default() += 1;
        call.run().await
    }
}

#[tokio::test]
async fn round_trips_are_as_many_as_promised() {
    let counted = Counted::default();
    let store = Layered::new(MemoryStore::new(), counted.clone());
    let (small, large) = (value(1, 10), value(1, 95));
    for (value, trips) in [(&small, 2), (&small, 2), (&large, 2 + 5), (&large, 2 + 5 + 1), (&small, 2 + 1), (&large, 7)]
    {
        store.set_chunked("key", value, &options()).await.unwrap();
        assert_eq!(counted.all(), trips);
    }
    store.get_chunked("key", &options()).await.unwrap();
    assert_eq!(counted.all(), 1 + 5);
    store.delete_chunked("key").await.unwrap();
    assert_eq!(counted.all(), 3);
}

#[tokio::test(start_paused = true)]
async fn parts_outlive_their_manifest_and_then_go() {
    let store = MemoryStore::new();
    store.set_chunked("key", &value(1, 95), &options()).await.unwrap();
    store.clock().advance(MINUTE - Duration::from_millis(1));
    assert_eq!(store.get_chunked("key", &options()).await.unwrap().unwrap(), value(1, 95));
    store.clock().advance(Duration::from_millis(2));
    assert_eq!(store.get_chunked("key", &options()).await.unwrap(), None);
    assert_eq!(store.len(), 10);
    store.clock().advance(MINUTE);
    assert!(store.is_empty());
}

/// Takes its time for a write of parts.
#[derive(Debug)]
struct SlowParts(Duration);

impl Around for SlowParts {
    async fn around<T: Send>(&self, mut call: Call<'_, T>) -> Result<T> {
        if call.name() == "mset" {
            tokio::time::sleep(self.0).await;
        }
        call.run().await
    }
}

#[tokio::test(start_paused = true)]
async fn no_part_goes_before_the_manifest_however_slow_the_write() {
    let memory = MemoryStore::new();
    let store = Layered::new(memory.clone(), SlowParts(Duration::from_secs(11)));
    store.set_chunked("key", &value(1, 95), &options()).await.unwrap();
    // Five trips of 11 seconds.
    let Ttl::Remaining(left) = store.ttl("key").await.unwrap() else { panic!("has a ttl") };
    assert_eq!(left.as_secs().next_multiple_of(5), 5);
    tokio::time::advance(left + Duration::from_millis(2)).await;
    assert_eq!(store.get_chunked("key", &options()).await.unwrap(), None);

    let store = Layered::new(memory.clone(), SlowParts(Duration::from_secs(13)));
    let error = store.set_chunked("key", &value(1, 95), &options()).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Timeout, Executed::No));
    tokio::time::advance(MINUTE).await;
    assert!(memory.is_empty());
}

#[tokio::test]
async fn parts_are_compressed_and_namespaced_as_any_value() {
    let memory = MemoryStore::new();
    let compressed = CompressOptions::default().threshold(0);
    let layers = Layers::new().namespace("app").codec(move |store| Compressed::new(store, compressed));
    let store = layers.over(memory.clone()).unwrap();
    let options = options().part_bytes(1000).max_bytes(10_000);
    store.set_chunked("key", &[7; 9500], &options).await.unwrap();
    assert_eq!(store.get_chunked("key", &options).await.unwrap().unwrap(), [7; 9500][..]);
    assert_eq!((memory.len(), memory.exists("app:key").await.unwrap()), (11, true));
    store.delete_chunked("key").await.unwrap();
    assert!(memory.is_empty());
}
