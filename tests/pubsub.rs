use crate::backend::{Backend, eventually, on_every_backend};
use kv_core::{Event, Message, Subscription};

on_every_backend!(
    messages_arrive_in_order_once_subscribed,
    one_subscription_hears_many_channels,
    a_dropped_subscription_ends,
    a_slow_subscriber_is_told_of_its_loss,
);

async fn messages_arrive_in_order_once_subscribed(backend: &Backend) {
    let pubsub = backend.store.pubsub().unwrap();
    assert_eq!(pubsub.publish("news", b"nobody hears").await.unwrap(), 0);
    let mut first = pubsub.subscribe(&["news"]).await.unwrap();
    let mut second = pubsub.subscribe(&["news"]).await.unwrap();
    for payload in [&b"1"[..], b"", b"\x00\xff"] {
        assert_eq!(pubsub.publish("news", payload).await.unwrap(), 2);
    }
    for subscription in [&mut first, &mut second] {
        for payload in [&b"1"[..], b"", b"\x00\xff"] {
            let message = subscription.next_message().await.unwrap();
            assert_eq!(message, Message { channel: "news".into(), pattern: None, payload: payload.into() });
        }
    }
}

async fn one_subscription_hears_many_channels(backend: &Backend) {
    let pubsub = backend.store.pubsub().unwrap();
    let mut subscription = pubsub.subscribe(&["a", "b", "a"]).await.unwrap();
    for channel in ["b", "c", "a"] {
        pubsub.publish(channel, channel.as_bytes()).await.unwrap();
    }
    for channel in ["b", "a"] {
        let message = subscription.next_message().await.unwrap();
        assert_eq!((&*message.channel, &*message.payload), (channel, channel.as_bytes()));
    }
}

async fn a_dropped_subscription_ends(backend: &Backend) {
    let pubsub = backend.store.pubsub().unwrap();
    drop(pubsub.subscribe(&["news"]).await.unwrap());
    eventually("nobody listens", || async { pubsub.publish("news", b"").await.unwrap() == 0 }).await;
}

async fn a_slow_subscriber_is_told_of_its_loss(backend: &Backend) {
    let pubsub = backend.store.pubsub().unwrap();
    let mut subscription = pubsub.subscribe(&["news"]).await.unwrap();
    let sent = Subscription::BUFFER + 100;
    for i in 0..sent {
        pubsub.publish("news", i.to_string().as_bytes()).await.unwrap();
    }
    pubsub.publish("news", b"last").await.unwrap();
    // Hears some, in order, and a gap; or, on a network, all of them if it was fast enough.
    let (mut heard, mut gaps, mut next) = (0, 0, 0);
    while heard + gaps == 0 || next < sent {
        let event = tokio::time::timeout(std::time::Duration::from_millis(500), subscription.next_event()).await;
        match event {
            Ok(Some(Event::Gap)) => gaps += 1,
            Ok(Some(Event::Message(message))) if message.payload == "last" => break,
            Ok(Some(Event::Message(message))) => {
                let number: usize = std::str::from_utf8(&message.payload).unwrap().parse().unwrap();
                assert!(number >= next, "out of order");
                next = number + 1;
                heard += 1;
            }
            Ok(None) => panic!("the store is not gone"),
            Err(_) => break,
        }
    }
    assert!(gaps > 0 || heard == sent, "lost {} messages in silence", sent - heard);
    if backend.is_memory() {
        assert_eq!((heard, gaps > 0), (Subscription::BUFFER, true));
    }
}
