//! What version 1 has in the store, byte for byte: kept in files, so that no later version forgets how to read it.
//!
//! `GOLDEN=write cargo test -p behaviour cache::golden` writes the files that are not there.

use bytes::Bytes;
use kv_core::{Clock, Cursor, Json, KvStore, MemoryStore, MessagePack, Raw, SetOptions};
use redis_cache::{Cache, CacheOptions, Lookup};
use redis_compress::{Algorithm, CompressOptions, Compressor};
use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc};

/// When all of it is written and read, microseconds since 1970.
const NOW: i64 = 1_767_225_600_000_000;

type Row = (u64, String);

fn row() -> Row {
    (7, "kettle ".repeat(60))
}

fn options() -> CacheOptions {
    CacheOptions::default().ttl_jitter(0.0).schema(3)
}

/// A way to write an entry, with what its cache was built with.
struct Case {
    name: &'static str,
    /// Without chance in it, the same is written today.
    is_fixed: bool,
    cache: fn(Arc<dyn KvStore>) -> Cache<Row>,
    tags: &'static [&'static str],
    value: fn() -> Option<Row>,
}

fn json(store: Arc<dyn KvStore>) -> Cache<Row> {
    Cache::with_codec(store, Json, options()).unwrap()
}

fn compressed(store: Arc<dyn KvStore>, algorithm: Algorithm) -> Cache<Row> {
    let compressor = Compressor::new(CompressOptions::default().algorithm(algorithm).threshold(64)).unwrap();
    Cache::with_codec(store, Json, options().transform(Arc::new(compressor))).unwrap()
}

const CASES: &[Case] = &[
    Case { name: "json", is_fixed: true, cache: json, tags: &[], value: || Some(row()) },
    Case { name: "absent", is_fixed: true, cache: json, tags: &[], value: || None },
    Case {
        name: "msgpack",
        is_fixed: true,
        cache: |store| Cache::with_codec(store, MessagePack, options()).unwrap(),
        tags: &[],
        value: || Some(row()),
    },
    Case {
        name: "versioned",
        is_fixed: true,
        cache: |store| json(store).versioned_by(|row: &Row| row.0),
        tags: &[],
        value: || Some(row()),
    },
    // Another deflate may choose other matches, and generations and marks are random.
    Case {
        name: "gzip",
        is_fixed: false,
        cache: |store| compressed(store, Algorithm::Gzip),
        tags: &[],
        value: || Some(row()),
    },
    Case {
        name: "zstd",
        is_fixed: false,
        cache: |store| compressed(store, Algorithm::Zstd),
        tags: &[],
        value: || Some(row()),
    },
    Case {
        name: "lz4",
        is_fixed: false,
        cache: |store| compressed(store, Algorithm::Lz4),
        tags: &[],
        value: || Some(row()),
    },
    Case { name: "tagged", is_fixed: false, cache: json, tags: &["red", "blue"], value: || Some(row()) },
    Case {
        name: "parts",
        is_fixed: false,
        cache: |store| Cache::with_codec(store, Json, options().part_bytes(1024)).unwrap(),
        tags: &[],
        value: || Some((7, "kettle ".repeat(400))),
    },
];

impl Case {
    fn file(&self) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("cache/golden").join(format!("{}.txt", self.name))
    }

    /// What a cache of today has in the store, a line for each key.
    async fn written(&self) -> String {
        let store: Arc<dyn KvStore> = Arc::new(MemoryStore::with_clock(Clock::manual(NOW)));
        let (cache, value) = ((self.cache)(store.clone()), (self.value)());
        if self.tags.is_empty() {
            cache.insert("k", value.as_ref()).await.unwrap();
        } else {
            cache.tagged(self.tags).unwrap().insert("k", value.as_ref()).await.unwrap();
        }
        let page = store.scan().unwrap().scan_page("", &Cursor::start(), 1000).await.unwrap();
        let mut lines = BTreeMap::new();
        for key in page.keys {
            let bytes = store.get(&key).await.unwrap().unwrap();
            lines.insert(key, bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        }
        lines.into_iter().map(|(key, bytes)| format!("{key} {bytes}\n")).collect()
    }

    /// What a cache of today makes of the file.
    async fn read(&self) -> Lookup<Row> {
        let store: Arc<dyn KvStore> = Arc::new(MemoryStore::with_clock(Clock::manual(NOW)));
        let text = fs::read_to_string(self.file()).expect("there is a file");
        for line in text.lines() {
            let (key, hex) = line.split_once(' ').expect("a key and bytes");
            let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
            let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
            store.set(key, &bytes, SetOptions::default()).await.unwrap();
        }
        (self.cache)(store).get("k").await.unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn what_version_1_wrote_is_read() {
    for case in CASES {
        if std::env::var("GOLDEN").is_ok_and(|wish| wish == "write") && !case.file().exists() {
            fs::write(case.file(), case.written().await).unwrap();
        }
        let wanted = (case.value)().map_or(Lookup::Null, |row| Lookup::Hit(Arc::new(row)));
        assert_eq!(case.read().await, wanted, "{}", case.name);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_written_today_is_version_1() {
    for case in CASES.iter().filter(|case| case.is_fixed) {
        assert_eq!(case.written().await, fs::read_to_string(case.file()).unwrap(), "{}", case.name);
    }
}

/// The bytes of a raw cache are in the entry as they are.
#[tokio::test(start_paused = true)]
async fn bare_bytes_stand_behind_the_header() {
    let store: Arc<dyn KvStore> = Arc::new(MemoryStore::with_clock(Clock::manual(NOW)));
    let cache = Cache::with_codec(store.clone(), Raw, options()).unwrap();
    cache.insert("k", Some(&Bytes::from_static(b"bytes"))).await.unwrap();
    let entry = store.get("cache:{k}").await.unwrap().unwrap();
    assert_eq!((entry.len(), &entry[..2], &entry[32..]), (37, &b"\xC1\x01"[..], &b"bytes"[..]));
}
