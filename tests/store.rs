//! What [conformance](super::conformance) leaves to us: typed values, and the memory of a store.

use crate::backend::{Backend, on_every_backend};
use kv_core::{ErrorKind, KvStoreExt, MemoryStore, Raw, SetOptions};
use std::time::Duration;

on_every_backend!(typed_values_go_through_a_codec);
on_every_backend!(@layers typed_values_go_through_a_codec);

async fn typed_values_go_through_a_codec(backend: &Backend) {
    let store = &backend.store;
    let value = ("kettle".to_owned(), 42_u32);
    store.set_as("key", &value, &kv_core::Json, SetOptions::default()).await.unwrap();
    assert_eq!(store.get_as("key", &kv_core::Json).await.unwrap(), Some(value));
    assert_eq!(store.get_as("key", &Raw).await.unwrap().unwrap(), "[\"kettle\",42]");
    let error = store.get_as::<u32>("key", &kv_core::Json).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(!format!("{error:?}").contains("kettle"), "an error shows no value");
}

#[tokio::test]
async fn memory_counts_live_keys_only() {
    let store = MemoryStore::new();
    for i in 0..10_000 {
        store.set_px(&format!("old:{i}"), b"x", Duration::from_millis(1)).await.unwrap();
    }
    store.clock().advance(Duration::from_secs(1));
    assert_eq!(store.len(), 0);
}
