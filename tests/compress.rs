use crate::backend::{Backend, cases, on_every_backend};
use flate2::{Compression, write::GzEncoder};
use kv_core::{ErrorKind, KvStore, MemoryStore, SetOptions, Transform};
use proptest::prelude::*;
use redis_compress::{CompressOptions, Compressed, Gzip, gunzip, gzip};
use std::{io::Write, time::Duration};

on_every_backend!(
    what_is_stored_is_smaller_and_reads_the_same,
    values_of_other_clients_are_read_as_they_are,
    counters_count_beneath_the_layer,
    a_damaged_value_is_a_typed_error,
);

fn layer(backend: &Backend) -> Compressed<std::sync::Arc<dyn KvStore>> {
    Compressed::new(backend.store.clone(), CompressOptions::default()).unwrap()
}

async fn what_is_stored_is_smaller_and_reads_the_same(backend: &Backend) {
    let store = layer(backend);
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
    let store = layer(backend);
    let foreign_gzip = gzip(b"not ours", 6);
    for value in [&b""[..], b"plain", b"\xf8K", &foreign_gzip] {
        backend.store.set("key", value, SetOptions::default()).await.unwrap();
        assert_eq!(store.get("key").await.unwrap().unwrap(), value);
    }
}

async fn counters_count_beneath_the_layer(backend: &Backend) {
    let store = layer(backend);
    store.set("hits", b"41", SetOptions::default()).await.unwrap();
    assert_eq!(store.incr_by("hits", 1).await.unwrap(), 42);
    assert_eq!(store.get("hits").await.unwrap().unwrap(), "42");
}

async fn a_damaged_value_is_a_typed_error(backend: &Backend) {
    let store = layer(backend);
    for damaged in [&b"\xf8KZ"[..], b"\xf8KZ\x01", b"\xf8KZ\x01not gzip", b"\xf8KZ\x63unknown"] {
        backend.store.set("key", damaged, SetOptions::default()).await.unwrap();
        assert_eq!(store.get("key").await.unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(store.mget(&["key"]).await.unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn gunzip_takes_one_whole_member_and_nothing_else() {
    let member = gzip(b"hello hello hello hello", 6);
    assert_eq!(gunzip(&member, 23).unwrap(), b"hello hello hello hello");
    let two = [&member[..], &member].concat();
    let trailing = [&member[..], b"x"].concat();
    let mut flipped = member.clone();
    let at = flipped.len() - 6;
    flipped[at] ^= 1;
    for (what, bytes) in [
        ("empty", &[][..]),
        ("two members", &two),
        ("trailing", &trailing),
        ("crc", &flipped),
        ("header", &member[..9]),
    ] {
        assert_eq!(gunzip(bytes, 1 << 20).unwrap_err().kind(), ErrorKind::Corrupt, "{what}");
    }
    for cut in 0..member.len() {
        assert_eq!(gunzip(&member[..cut], 1 << 20).unwrap_err().kind(), ErrorKind::Corrupt, "cut at {cut}");
    }
}

#[test]
fn a_bomb_is_refused_within_its_bound() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..64 {
        encoder.write_all(&[0; 1 << 20]).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 1 << 17);
    let error = gunzip(&bomb, 1 << 20).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().ends_with("larger than max_decompressed"));
    // The claimed size in the last four bytes is never trusted.
    let mut lying = gzip(b"small", 6);
    let end = lying.len();
    lying[end - 4..].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(gunzip(&lying, usize::MAX).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn a_transform_leaves_alone_what_it_could_not_read_back() {
    let options = CompressOptions::default().threshold(10).max_decompressed(1000);
    let transform = Gzip::new(options).unwrap();
    assert_eq!(transform.apply(&[b'a'; 9]).unwrap(), None);
    assert_eq!(transform.apply(&[b'a'; 1001]).unwrap(), None);
    let compressed = transform.apply(&[b'a'; 1000]).unwrap().unwrap();
    assert_eq!(transform.revert(&compressed).unwrap(), [b'a'; 1000]);
}

proptest! {
    #![proptest_config(cases(256))]

    /// Any bytes come back under any options, and under other options than they were written with.
    #[test]
    fn any_value_comes_back(
        value in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..2000),
            prop::collection::vec(Just(7u8), 0..5000),
            prop::collection::vec(any::<u8>(), 0..9).prop_map(|tail| [&b"\xf8KZ"[..], &tail].concat()),
        ],
        level in 1u32..=9, threshold in 0usize..2000, saving in 0u32..=99,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let memory = MemoryStore::new();
            let options = CompressOptions::default().level(level).threshold(threshold).min_saving_percent(saving);
            let writer = Compressed::new(memory.clone(), options).unwrap();
            let reader = Compressed::new(memory.clone(), CompressOptions::default()).unwrap();
            writer.set("key", &value, SetOptions::default()).await.unwrap();
            prop_assert_eq!(&writer.get("key").await.unwrap().unwrap(), &value);
            prop_assert_eq!(&reader.get("key").await.unwrap().unwrap(), &value);
            let stored = memory.get("key").await.unwrap().unwrap();
            prop_assert!(stored.len() <= value.len() + 4);
            Ok(())
        })?;
    }
}
