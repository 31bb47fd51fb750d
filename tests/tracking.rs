//! Word of the keys that change: what [conformance](super::conformance) leaves to us, and links that break.

mod broken;
mod copy;
mod foreign;
mod same;

use crate::backend::{Backend, on_every_backend, soon};
pub(crate) use broken::trackers;
use kv_core::{Event, KeyChanges, KvStore, KvStoreExt, MemoryStore, Namespaced, SetOptions, Subscription, Tracking};
use std::{sync::Arc, time::Duration};

on_every_backend!(a_namespace_comes_off_and_others_are_not_heard_of, who_is_too_slow_hears_where_its_loss_begins);

/// The next key, past all gaps.
async fn next_key(changes: &mut KeyChanges) -> Arc<str> {
    let listening = async {
        loop {
            if let Event::Message(key) = changes.next_event().await.expect("the store is there") {
                return key;
            }
        }
    };
    soon("a change", listening).await
}

async fn put(store: &dyn KvStore, key: &str) {
    store.set(key, b"1", SetOptions::default()).await.unwrap();
}

async fn a_namespace_comes_off_and_others_are_not_heard_of(backend: &Backend) {
    let app = Namespaced::new(backend.store.clone(), "app").unwrap();
    let inner = Namespaced::new(app.clone(), "in").unwrap();
    for (prefix, expected) in [("a", "a:1"), ("", "x")] {
        let mut changes = inner.track(&[prefix]).await.unwrap();
        put(&backend.store, "a:1").await;
        put(&app, "a:1").await;
        put(&inner, expected).await;
        assert_eq!(&*next_key(&mut changes).await, expected);
    }
}

async fn who_is_too_slow_hears_where_its_loss_begins(backend: &Backend) {
    let store = &backend.store;
    let mut changes = store.require_tracking("test").unwrap().track(&["{many}"]).await.unwrap();
    let mut others = store.require_tracking("test").unwrap().track(&["{many}last"]).await.unwrap();
    let keys: Vec<String> = (0..Subscription::BUFFER + 200).map(|at| format!("{{many}}{at:05}")).collect();
    for some in keys.chunks(50) {
        let some: Vec<(&str, &[u8])> = some.iter().map(|key| (key.as_str(), &b"1"[..])).collect();
        store.mset(&some, Some(Duration::from_secs(60))).await.unwrap();
    }
    put(store, "{many}last").await;
    assert_eq!(&*next_key(&mut others).await, "{many}last", "one who is slow holds up nobody");
    let (mut heard, mut gaps) = (0, 0);
    while heard < Subscription::BUFFER {
        match soon("what is buffered", changes.next_event()).await.unwrap() {
            Event::Gap => gaps += 1,
            Event::Message(_) => heard += 1,
        }
    }
    assert!(gaps > 0 && changes.is_live(), "{gaps} gaps");
    soon("later changes arrive", async {
        loop {
            put(store, "{many}later").await;
            while let Ok(Some(event)) = tokio::time::timeout(Duration::from_millis(50), changes.next_event()).await {
                if event == Event::Message("{many}later".into()) {
                    return;
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn memory_reports_what_a_sweep_finds_expired() {
    let store = MemoryStore::new();
    store.set_px("a", b"1", Duration::from_secs(1)).await.unwrap();
    let mut changes = store.track(&[""]).await.unwrap();
    store.clock().advance(Duration::from_secs(2));
    assert!(store.is_empty());
    assert_eq!(changes.next_event().await, Some(Event::Message("a".into())));
}
