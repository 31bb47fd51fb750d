mod dictionaries;
mod format;
mod frames;

use crate::backend::{Backend, cases, on_every_backend};
use kv_core::{ErrorKind, KvStore, MemoryStore, SetOptions, Transform};
use proptest::{prelude::*, sample::select};
use redis_compress::{Algorithm, CompressOptions, Compressed, Compressor, Dictionary, Format, gzip};
use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

on_every_backend!(
    what_is_stored_is_smaller_and_reads_the_same,
    values_of_other_clients_are_read_as_they_are,
    counters_count_beneath_the_layer,
    a_damaged_value_is_a_typed_error,
);

fn layer(backend: &Backend, options: CompressOptions) -> Compressed<Arc<dyn KvStore>> {
    Compressed::new(backend.store.clone(), options).unwrap()
}

/// A record as services keep them, of about 200 bytes.
fn product(id: u32) -> Vec<u8> {
    let names = ["kettle", "lamp", "chair", "desk", "clock", "vase"];
    let mixed = id.wrapping_mul(0x9E37_79B1);
    let (name, price) = (names[mixed as usize % names.len()], mixed >> 12);
    let (stock, day) = (mixed.is_multiple_of(2), id % 28 + 1);
    let head = format!(r#"{{"id":{id},"name":"{name}","price_cents":{price},"currency":"EUR","in_stock":{stock},"#);
    let tail = format!(r#""tags":["household","{name}"],"updated_at":"2026-01-{day:02}T00:00:00Z"}}"#);
    (head + &tail).into_bytes()
}

fn products(count: usize) -> Vec<u8> {
    (0..count as u32).flat_map(product).collect()
}

fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|_| rand::random()).collect()
}

fn dictionary() -> Dictionary {
    static TRAINED: LazyLock<Dictionary> =
        LazyLock::new(|| Dictionary::train((0..1000).map(product), 8 << 10).expect("enough samples"));
    TRAINED.clone()
}

async fn what_is_stored_is_smaller_and_reads_the_same(backend: &Backend) {
    let store = layer(backend, CompressOptions::default());
    let json = r#"{"name":"kettle","price":4200,"tags":["kitchen","steel"]}"#.repeat(100);
    store.set("a", json.as_bytes(), SetOptions::default()).await.unwrap();
    store.mset(&[("b", json.as_bytes()), ("c", b"short")], Some(Duration::from_secs(60))).await.unwrap();
    assert_eq!(
        store.mget(&["a", "b", "c"]).await.unwrap(),
        [Some(json.clone().into()), Some(json.clone().into()), Some("short".into())]
    );
    for key in ["a", "b"] {
        let stored = backend.store.get(key).await.unwrap().unwrap();
        assert!(stored.len() * 10 < json.len(), "{} of {}", stored.len(), json.len());
        assert_eq!(&stored[..4], b"\xf8KZ\x01");
    }
    let random: Vec<u8> = (0..10_000).map(|_| rand::random()).collect();
    store.set("r", &random, SetOptions::default()).await.unwrap();
    assert_eq!(backend.store.get("r").await.unwrap().unwrap(), random, "what does not shrink is stored bare");
}

async fn values_of_other_clients_are_read_as_they_are(backend: &Backend) {
    let store = layer(backend, CompressOptions::default());
    let foreign_gzip = gzip(b"not ours", 6);
    for value in [&b""[..], b"plain", b"\xf8K", &foreign_gzip] {
        backend.store.set("key", value, SetOptions::default()).await.unwrap();
        assert_eq!(store.get("key").await.unwrap().unwrap(), value);
    }
}

async fn counters_count_beneath_the_layer(backend: &Backend) {
    let store = layer(backend, CompressOptions::default());
    store.set("hits", b"41", SetOptions::default()).await.unwrap();
    assert_eq!(store.incr_by("hits", 1).await.unwrap(), 42);
    assert_eq!(store.get("hits").await.unwrap().unwrap(), "42");
}

async fn a_damaged_value_is_a_typed_error(backend: &Backend) {
    let store = layer(backend, CompressOptions::default());
    for damaged in [&b"\xf8KZ"[..], b"\xf8KZ\x01", b"\xf8KZ\x01not gzip", b"\xf8KZ\x63unknown"] {
        backend.store.set("key", damaged, SetOptions::default()).await.unwrap();
        assert_eq!(store.get("key").await.unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(store.mget(&["key"]).await.unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn a_transform_leaves_alone_what_it_could_not_read_back() {
    let options = CompressOptions::default().threshold(10).max_decompressed(1000);
    let transform = Compressor::new(options).unwrap();
    assert_eq!(transform.apply(&[b'a'; 9]).unwrap(), None);
    assert_eq!(transform.apply(&[b'a'; 1001]).unwrap(), None);
    let compressed = transform.apply(&[b'a'; 1000]).unwrap().unwrap();
    assert_eq!(transform.revert(&compressed).unwrap(), [b'a'; 1000]);
}

fn any_options() -> impl Strategy<Value = CompressOptions> {
    let algorithm = (select(Algorithm::ALL), 1u32..=9, any::<bool>());
    let sizes = (0usize..2000, 0u32..=99, select(&[0usize, 1500, usize::MAX][..]));
    (algorithm, sizes, any::<bool>()).prop_map(|((algorithm, level, has_dictionary), sizes, is_pure)| {
        let (threshold, saving, offload) = sizes;
        let options = CompressOptions::default().threshold(threshold).min_saving_percent(saving).offload_from(offload);
        let options = if is_pure { options.format(Format::Gzip) } else { options.algorithm(algorithm) };
        let options = if options.algorithm == Algorithm::Lz4 { options } else { options.level(level) };
        if has_dictionary { options.dictionaries([dictionary()]) } else { options }
    })
}

proptest! {
    #![proptest_config(cases(512))]

    /// Any bytes come back under any options, and under other options than they were written with.
    #[test]
    fn any_value_comes_back(
        value in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..2000),
            prop::collection::vec(Just(7u8), 0..5000),
            (0..40usize).prop_map(products),
            prop::collection::vec(any::<u8>(), 0..9).prop_map(|tail| [&b"\xf8KZ"[..], &tail].concat()),
            prop::collection::vec(any::<u8>(), 0..9).prop_map(|tail| gzip(&tail, 6)),
        ],
        written in any_options(), read in any_options(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let memory = MemoryStore::new();
            let writer = Compressed::new(memory.clone(), written.clone()).unwrap();
            writer.set("key", &value, SetOptions::default()).await.unwrap();
            prop_assert_eq!(&writer.get("key").await.unwrap().unwrap(), &value);
            let reader = Compressed::new(memory.clone(), read.dictionaries([dictionary()]).read_legacy(true)).unwrap();
            prop_assert_eq!(&reader.get("key").await.unwrap().unwrap(), &value);
            writer.mset(&[("key", &value), ("other", &value)], None).await.unwrap();
            prop_assert_eq!(reader.mget(&["other", "key"]).await.unwrap(), vec![Some(value.clone().into()); 2]);
            let stored = memory.get("key").await.unwrap().unwrap();
            prop_assert!(written.format == Format::Gzip || stored.len() <= value.len() + 4);
            Ok(())
        })?;
    }
}
