//! Small values of one kind, with what they share known beforehand.

use super::{dictionary, layer, product};
use crate::backend::{Backend, on_every_backend};
use kv_core::{ErrorKind, KvStore, SetOptions};
use redis_compress::{Algorithm, CompressOptions, Dictionary};

on_every_backend!(a_dictionary_makes_small_values_small, values_outlive_the_dictionary_that_is_written_with);

fn zstd() -> CompressOptions {
    CompressOptions::default().algorithm(Algorithm::Zstd).threshold(32).level(3)
}

async fn stored(backend: &Backend, key: &str) -> usize {
    backend.store.get(key).await.unwrap().unwrap().len()
}

async fn a_dictionary_makes_small_values_small(backend: &Backend) {
    let with = layer(backend, zstd().dictionaries([dictionary()]));
    let without = layer(backend, zstd());
    let (mut bare, mut alone, mut known) = (0, 0, 0);
    for id in 10_000..10_020 {
        let value = product(id);
        with.set("with", &value, SetOptions::default()).await.unwrap();
        without.set("without", &value, SetOptions::default()).await.unwrap();
        assert_eq!(with.get("with").await.unwrap().unwrap(), value);
        assert_eq!(with.get("without").await.unwrap().unwrap(), value);
        bare += value.len();
        alone += stored(backend, "without").await;
        known += stored(backend, "with").await;
    }
    assert!(known * 2 < bare && known * 3 < alone * 2, "{bare} bytes, {alone} alone, {known} with a dictionary");
    let error = without.get("with").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains(&dictionary().id().to_string()), "{error}");
}

async fn values_outlive_the_dictionary_that_is_written_with(backend: &Backend) {
    let newer = Dictionary::train((0..500).map(|id| product(id * 7 + 1)), 4 << 10).unwrap();
    assert_ne!(newer.id(), dictionary().id());
    let before = layer(backend, zstd().dictionaries([dictionary()]));
    let after = layer(backend, zstd().dictionaries([newer, dictionary()]));
    before.set("before", &product(1), SetOptions::default()).await.unwrap();
    after.set("after", &product(2), SetOptions::default()).await.unwrap();
    assert_eq!(after.get("before").await.unwrap().unwrap(), product(1));
    assert_eq!(after.get("after").await.unwrap().unwrap(), product(2));
    assert_eq!(before.get("after").await.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn a_dictionary_survives_being_kept() {
    let kept = Dictionary::new(dictionary().as_bytes()).unwrap();
    assert_eq!(kept, dictionary());
    assert_eq!(kept.id(), dictionary().id());
}

#[test]
fn what_was_not_trained_is_refused() {
    for bytes in [&b""[..], b"not a dictionary", &dictionary().as_bytes()[..7]] {
        assert_eq!(Dictionary::new(bytes).unwrap_err().kind(), ErrorKind::InvalidConfig, "{bytes:?}");
    }
    let too_few: [Vec<Vec<u8>>; 4] = [vec![], vec![vec![]], vec![product(1)], vec![vec![]; 1000]];
    for samples in too_few {
        assert_eq!(Dictionary::train(&samples, 16 << 10).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    let samples = || (0..500).map(product);
    for max_bytes in [0, 1, 100] {
        assert_eq!(Dictionary::train(samples(), max_bytes).unwrap_err().kind(), ErrorKind::InvalidInput, "{max_bytes}");
    }
}
