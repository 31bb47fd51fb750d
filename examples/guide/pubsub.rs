//! Pub/sub: broadcast, a slow subscriber, a dropped link, and what each loses.
//!
//! Needs: a server.
//!
//! A message goes to whoever listens at that moment, and is kept for nobody: pub/sub tells news to those who can ask
//! for the truth elsewhere ("key 42 has changed"). If every message counts it has to be a stream. A loss is silent in
//! Redis; our subscription says `Gap` where there may have been one, which is the moment to read the truth again.

use anyhow::{Context, Result, bail, ensure};
use kv_core::{Event, KvStoreExt, Subscription};
use kv_redis::RedisStore;
use redis::{AsyncTypedCommands, Client, cmd, pipe};
use std::time::Duration;
use tokio::time::{sleep, timeout};

const NEWS: &str = "guide:news";
/// Only ends what hangs.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> Result<()> {
    let url = examples::redis_url()?;
    let store = RedisStore::connect(&url).await?;
    let pubsub = store.require_pubsub("guide")?;
    let mut admin = Client::open(&*url)?.get_multiplexed_async_connection().await?;

    // Nobody listens: the message is gone, and PUBLISH says how many got it.
    assert_eq!(pubsub.publish(NEWS, b"nobody hears this").await?, 0);

    // Broadcast: each of three subscribers gets each message, in order. A subscription is a connection of its own.
    let mut listeners = Vec::new();
    for _ in 0..3 {
        listeners.push(pubsub.subscribe(&[NEWS]).await?);
    }
    let mut everything = pubsub.psubscribe(&["guide:*"]).await?;
    for message in ["one", "two"] {
        assert_eq!(pubsub.publish(NEWS, message.as_bytes()).await?, 4);
    }
    for listener in listeners.iter_mut().chain([&mut everything]) {
        assert_eq!([next(listener).await?, next(listener).await?], ["one", "two"]);
    }
    drop((listeners, everything));

    // A slow subscriber: it reads one message for every thousand that are sent. Redis would buffer for it up to 32 MB,
    // and then cut it off; ours keeps so many messages, drops those that are newer, and says so.
    let mut slow = pubsub.subscribe(&[NEWS]).await?;
    let (mut sent, mut heard) = (0, 0);
    loop {
        let mut burst = pipe();
        for at in 0..Subscription::BUFFER {
            burst.publish(NEWS, at).ignore();
        }
        burst.exec_async(&mut admin).await?;
        sent += Subscription::BUFFER;
        match timeout(PATIENCE, slow.next_event()).await?.context("the subscription ends")? {
            Event::Gap => break,
            Event::Message(_) => heard += 1,
        }
        ensure!(sent < 1_000_000, "nothing is dropped");
    }
    // What it had kept can be read still. The last word is repeated until there is room for it.
    loop {
        match timeout(Duration::from_millis(50), slow.next_event()).await {
            Err(_) => assert_eq!(pubsub.publish(NEWS, b"end").await?, 1),
            Ok(Some(Event::Message(message))) if message.payload == "end" => break,
            Ok(Some(Event::Message(_))) => heard += 1,
            Ok(Some(Event::Gap)) => {}
            Ok(None) => bail!("the subscription ends"),
        }
    }
    println!("a slow subscriber hears {heard} of {sent} messages, and that there is a gap");
    assert!(heard < sent);
    drop(slow);

    // A dropped link: killed, and in the same step something is published that nobody can hear.
    let mut listener = pubsub.subscribe(&[NEWS]).await?;
    let mut cut = pipe();
    cut.atomic().cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub").publish(NEWS, "lost");
    let (_, reached): (i64, i64) = cut.query_async(&mut admin).await?;
    assert_eq!(reached, 0);
    // The subscription mends itself; messages arrive again as soon as somebody is there to get them.
    timeout(PATIENCE, async {
        while pubsub.publish(NEWS, b"found").await? == 0 {
            sleep(Duration::from_millis(10)).await;
        }
        anyhow::Ok(())
    })
    .await??;
    let mut events = Vec::new();
    while !matches!(events.last(), Some(Event::Message(_))) {
        events.push(timeout(PATIENCE, listener.next_event()).await?.context("the subscription ends")?);
    }
    println!("a dropped link: {} gap(s), then {:?}", events.len() - 1, "found");
    assert!(matches!(&events[..], [Event::Gap, .., Event::Message(message)] if message.payload == "found"));

    // Where each message counts: a stream keeps it for whoever comes later. See `streams`.
    admin.del("guide:log").await?;
    admin.xadd("guide:log", "*", &[("news", "kept")]).await?;
    let kept: Vec<(String, Vec<String>)> =
        cmd("XRANGE").arg("guide:log").arg("-").arg("+").query_async(&mut admin).await?;
    assert_eq!(kept[0].1, ["news", "kept"]);
    admin.del("guide:log").await?;
    Ok(())
}

async fn next(subscription: &mut Subscription) -> Result<String> {
    let message = timeout(PATIENCE, subscription.next_message()).await?.context("no message")?;
    Ok(String::from_utf8(message.payload.to_vec())?)
}
