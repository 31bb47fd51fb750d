//! What [conformance](super::conformance) leaves to us: how much a subscription buffers.

use kv_core::{Event, MemoryStore, PubSub, Subscription};

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
