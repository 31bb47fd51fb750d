use super::{
    Failure, Room,
    check::{PATIENCE, ensure, eventually, refused, same, soon},
};
use crate::{ErrorKind, Event, Message, Subscription};
use tokio::time::timeout;

/// Checks the next message.
async fn hears(subscription: &mut Subscription, channel: &str, payload: &[u8]) -> Result<Message, Failure> {
    let Some(message) = soon("a message", subscription.next_message()).await? else {
        return Err(Failure::new("a subscription ends though the store is there"));
    };
    same!("channel of a message", &*message.channel, channel);
    same!("payload of a message", &*message.payload, payload);
    Ok(message)
}

/// One publisher's messages arrive as they were sent, byte for byte.
pub async fn messages_arrive_in_order(room: &Room) -> Result<(), Failure> {
    let (channel, pubsub) = (room.key("channel"), room.pubsub()?);
    let mut subscription = pubsub.subscribe(&[&channel]).await?;
    let long = room.long_value();
    let numbers: Vec<String> = (0..50).map(|at| at.to_string()).collect();
    let payloads = || numbers.iter().map(String::as_bytes).chain([&b""[..], b"\x00\xff\r\n", &long]);
    for payload in payloads() {
        pubsub.publish(&channel, payload).await?;
    }
    for payload in payloads() {
        let message = hears(&mut subscription, &channel, payload).await?;
        same!("pattern of a plain subscription", message.pattern, None);
    }
    Ok(())
}

/// Once `subscribe` returns, the very next message arrives.
pub async fn nothing_is_lost_once_subscribed(room: &Room) -> Result<(), Failure> {
    let pubsub = room.pubsub()?;
    for round in 0..20 {
        let channel = room.key(&format!("channel{round}"));
        let mut subscription = pubsub.subscribe(&[&channel]).await?;
        pubsub.publish(&channel, b"first").await?;
        hears(&mut subscription, &channel, b"first").await?;
    }
    Ok(())
}

/// Subscribers of a channel do not take messages from each other.
pub async fn every_subscriber_hears_every_message(room: &Room) -> Result<(), Failure> {
    let (channel, pubsub) = (room.key("channel"), room.pubsub()?);
    let mut one = pubsub.subscribe(&[&channel]).await?;
    let mut two = pubsub.subscribe(&[&channel]).await?;
    for payload in [b"1", b"2", b"3"] {
        pubsub.publish(&channel, payload).await?;
    }
    for subscription in [&mut one, &mut two] {
        for payload in [b"1", b"2", b"3"] {
            hears(subscription, &channel, payload).await?;
        }
    }
    Ok(())
}

/// All of the channels named are heard, once each though named twice, and no other.
pub async fn one_subscription_hears_many_channels(room: &Room) -> Result<(), Failure> {
    let pubsub = room.pubsub()?;
    let channels: Vec<String> = (0..10).map(|at| room.key(&format!("channel{at}"))).collect();
    let mut names: Vec<&str> = channels.iter().map(String::as_str).collect();
    names.push(&channels[0]);
    let mut subscription = pubsub.subscribe(&names).await?;
    pubsub.publish(&room.key("channel"), b"other").await?;
    for channel in &channels {
        // One by one: in a cluster the order of messages on different channels is anybody's.
        pubsub.publish(channel, channel.as_bytes()).await?;
        hears(&mut subscription, channel, channel.as_bytes()).await?;
    }
    Ok(())
}

/// Patterns match what Redis' do, and a message tells which; a store without patterns says so.
pub async fn patterns_match_or_are_unsupported(room: &Room) -> Result<(), Failure> {
    let pubsub = room.pubsub()?;
    // A pattern, what it matches, and what it does not.
    let cases = [
        ("*:end", "any:end", "any:ends"),
        ("h?llo", "hallo", "hllo"),
        ("h[a-c]llo", "hbllo", "hdllo"),
        ("h[^a]llo", "hello", "hallo"),
        (r"h\*llo", "h*llo", "hallo"),
        ("plain", "plain", "plainer"),
    ];
    for (at, (pattern, matching, other)) in cases.into_iter().enumerate() {
        // Names of its own for each: in a cluster the messages of one may arrive during the next.
        let [pattern, matching, other] = [pattern, matching, other].map(|name| room.key(&format!("{at}:{name}")));
        let mut subscription = match pubsub.psubscribe(&[&pattern]).await {
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                return refused("psubscribe", Err::<(), _>(error), ErrorKind::Unsupported);
            }
            subscription => subscription?,
        };
        pubsub.publish(&other, b"other").await?;
        pubsub.publish(&matching, b"match").await?;
        let message = hears(&mut subscription, &matching, b"match").await?;
        same!("pattern of a message", message.pattern.as_deref(), Some(pattern.as_str()));
    }
    Ok(())
}

/// A subscriber that is too slow hears a prefix in order, and of a gap; or everything, if it was not.
pub async fn a_loss_shows_as_a_gap(room: &Room) -> Result<(), Failure> {
    let (channel, pubsub) = (room.key("channel"), room.pubsub()?);
    let mut subscription = pubsub.subscribe(&[&channel]).await?;
    let sent = Subscription::BUFFER + 100;
    for number in 0..sent {
        pubsub.publish(&channel, number.to_string().as_bytes()).await?;
    }
    let mut next = 0;
    while next < sent {
        match timeout(PATIENCE, subscription.next_event()).await {
            Ok(Some(Event::Gap)) => return Ok(()),
            Ok(Some(Event::Message(message))) => {
                same!("message of a slow subscriber", &*message.payload, next.to_string().as_bytes());
                next += 1;
            }
            Ok(None) => return Err(Failure::new("a subscription ends though the store is there")),
            Err(_) => return Err(Failure::new(format!("{} messages are lost in silence", sent - next))),
        }
    }
    Ok(())
}

/// A channel needs a name, and a subscription a channel.
pub async fn channels_without_a_name_are_refused(room: &Room) -> Result<(), Failure> {
    let (channel, pubsub) = (room.key("channel"), room.pubsub()?);
    refused("publish on an empty channel", pubsub.publish("", b"1").await, ErrorKind::InvalidInput)?;
    refused("subscribe to nothing", pubsub.subscribe(&[]).await, ErrorKind::InvalidInput)?;
    refused("subscribe to an empty channel", pubsub.subscribe(&[&channel, ""]).await, ErrorKind::InvalidInput)
}

/// `publish` counts those who hear it.
pub async fn publish_counts_the_subscribers(room: &Room) -> Result<(), Failure> {
    let (channel, pubsub) = (room.key("channel"), room.pubsub()?);
    same!("count of no subscribers", pubsub.publish(&channel, b"1").await?, 0);
    let _one = pubsub.subscribe(&[&channel]).await?;
    same!("count of one subscriber", pubsub.publish(&channel, b"1").await?, 1);
    let _two = pubsub.subscribe(&[&channel]).await?;
    same!("count of two subscribers", pubsub.publish(&channel, b"1").await?, 2);
    Ok(())
}

/// Who drops a subscription is no subscriber any more, soon and without a message.
pub async fn a_dropped_subscription_ends(room: &Room) -> Result<(), Failure> {
    let (channel, pubsub) = (room.key("channel"), room.pubsub()?);
    drop(pubsub.subscribe(&[&channel]).await?);
    let last = pubsub.subscribe(&[&channel]).await?;
    eventually("a dropped subscription ends", || async { Ok(pubsub.publish(&channel, b"1").await? == 1) }).await?;
    drop(last);
    eventually("the last subscription ends", || async { Ok(pubsub.publish(&channel, b"1").await? == 0) }).await?;
    ensure!(pubsub.subscribe(&[&channel]).await.is_ok(), "a channel that was left cannot be subscribed to again");
    Ok(())
}
