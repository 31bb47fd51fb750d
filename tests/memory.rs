//! What the store in memory can do beside strings: the same answers as a server's, and nothing lost.

mod glob;
mod lists;
mod queues;
mod torture;
mod waits;

use crate::backend::{Backend, on_every_backend};
use kv_core::{Cursor, KvStoreExt};
use std::collections::BTreeMap;

on_every_backend!(
    @one_server
    a_scan_sees_what_stays_and_only_the_prefix,
    a_channel_and_its_patterns_each_bring_the_message,
    names_that_can_never_work_are_refused,
);

async fn a_scan_sees_what_stays_and_only_the_prefix(backend: &Backend) {
    let scan = backend.store.require_scan("test").unwrap();
    for at in 0..300 {
        let (stays, goes) = (format!("stays*:{at}"), format!("stays-not:{at}"));
        backend.store.mset(&[(&stays, b""), (&goes, b"")], None).await.unwrap();
    }
    backend.store.require_blocking("test").unwrap().push("stays*:list", kv_core::End::Back, &[b"1"]).await.unwrap();
    let (mut seen, mut cursor, mut pages) = (BTreeMap::new(), Some(Cursor::start()), 0);
    while let Some(from) = cursor {
        let page = scan.scan_page("stays*:", &from, 7).await.unwrap();
        page.keys.into_iter().for_each(|key| *seen.entry(key).or_insert(0) += 1);
        cursor = page.next;
        let (goes, comes) = (format!("stays-not:{pages}"), format!("comes:{pages}"));
        backend.store.delete(&[&goes]).await.unwrap();
        backend.store.mset(&[(&comes, b"")], None).await.unwrap();
        pages += 1;
    }
    assert_eq!(seen.len(), 301);
    assert!(pages > 10 && seen.keys().all(|key| key.starts_with("stays*:")));
    assert!(!backend.is_memory() || seen.values().all(|times| *times == 1));
}

async fn a_channel_and_its_patterns_each_bring_the_message(backend: &Backend) {
    let pubsub = backend.store.pubsub().unwrap();
    let mut by_channel = pubsub.subscribe(&["news.uk"]).await.unwrap();
    let mut by_pattern = pubsub.psubscribe(&["news.*", "*.uk", "sport.*", "news.*"]).await.unwrap();
    assert_eq!(pubsub.publish("sport.fr", b"0").await.unwrap(), 1);
    assert_eq!(by_pattern.next_message().await.unwrap().pattern.as_deref(), Some("sport.*"));
    assert_eq!(pubsub.publish("news.uk", b"1").await.unwrap(), 3);
    let message = by_channel.next_message().await.unwrap();
    assert_eq!((&*message.channel, message.pattern, &*message.payload), ("news.uk", None, &b"1"[..]));
    let mut patterns = Vec::new();
    for _ in 0..2 {
        let message = by_pattern.next_message().await.unwrap();
        assert_eq!((&*message.channel, &*message.payload), ("news.uk", &b"1"[..]));
        patterns.push(message.pattern.unwrap().to_string());
    }
    patterns.sort_unstable();
    assert_eq!(patterns, ["*.uk", "news.*"]);
    drop(by_pattern);
    crate::backend::eventually("only the channel is left", || async {
        pubsub.publish("news.uk", b"2").await.unwrap() == 1
    })
    .await;
}

async fn names_that_can_never_work_are_refused(backend: &Backend) {
    let pubsub = backend.store.pubsub().unwrap();
    for (names, expected) in [
        (&[][..], "psubscribe: invalid input: no channel given"),
        (&["a", ""], "psubscribe: invalid input: key must not be empty"),
    ] {
        assert_eq!(pubsub.psubscribe(names).await.unwrap_err().to_string(), expected);
    }
}
