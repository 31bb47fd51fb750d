//! What [conformance](super::conformance) leaves to us: how much a subscription buffers, and patterns of every kind.

use crate::backend::patient;
use kv_core::{Event, KvStore, MemoryStore, PubSub, SetOptions, Subscription};
use kv_redis::{RedisStore, redis::AsyncCommands};
use xtask::fixture::Server;

#[tokio::test]
async fn a_slow_subscriber_hears_of_its_loss_where_it_begins() {
    let store = MemoryStore::new();
    let mut subscription = store.subscribe(&["news"]).await.unwrap();
    for number in 0..Subscription::BUFFER + 100 {
        store.publish("news", number.to_string().as_bytes()).await.unwrap();
    }
    let (mut heard, mut gaps) = (0, 0);
    while heard < Subscription::BUFFER {
        match subscription.next_event().await.unwrap() {
            Event::Gap => gaps += 1,
            Event::Message(message) => {
                assert_eq!(message.payload, heard.to_string());
                heard += 1;
            }
        }
    }
    store.publish("news", b"later").await.unwrap();
    assert_eq!(subscription.next_message().await.unwrap().payload, "later");
    assert!(gaps > 0);
}

/// Memory's patterns against the ones of a server.
#[tokio::test]
async fn patterns_match_what_they_match_on_a_server() {
    let server = Server::start().unwrap();
    let (memory, redis) = (MemoryStore::new(), RedisStore::connect_with(&server.url(), patient()).await.unwrap());
    let word = |letters: &[u8], longest: usize| -> String {
        (0..rand::random_range(1..=longest))
            .map(|_| char::from(letters[rand::random_range(0..letters.len())]))
            .collect()
    };
    for _ in 0..2_000 {
        let (pattern, name) = (word(b"ab*?[]^-\\", 8), word(b"ab]-^\\", 4));
        let _subscription = memory.psubscribe(&[&pattern]).await.unwrap();
        let here = memory.publish(&name, b"").await.unwrap();
        redis.set(&name, b"", SetOptions::default()).await.unwrap();
        let there: Vec<String> = redis.connection().keys(&pattern).await.unwrap();
        redis.delete(&[&name]).await.unwrap();
        assert_eq!(here, there.len() as u64, "{pattern} and {name}");
    }
}
