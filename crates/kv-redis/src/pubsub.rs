use crate::{
    RedisOptions, RedisStore,
    error::{classify, timed_out},
};
use async_trait::async_trait;
use futures_util::StreamExt;
use kv_core::{Error, ErrorKind, Feed, Message, PubSub, Result, RetryPolicy, Subscription};
use redis::{
    Client, Msg, RedisResult, Value,
    aio::{PubSubSink, PubSubStream},
    cmd,
};
use std::{borrow::Cow, sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};

#[async_trait]
impl PubSub for RedisStore {
    async fn publish(&self, channel: &str, payload: &[u8]) -> Result<u64> {
        self.options().limits.check_key("publish", channel)?;
        self.options().limits.check_value("publish", payload)?;
        self.query("publish", cmd("PUBLISH").arg(channel).arg(payload)).await
    }

    /// One connection and one task per subscription; a lost link is opened again until the subscription is dropped.
    async fn subscribe(&self, channels: &[&str]) -> Result<Subscription> {
        if channels.is_empty() {
            return Err(Error::invalid_input("subscribe", "no channel given"));
        }
        self.options().limits.check_keys("subscribe", channels)?;
        let Some(client) = self.client().cloned() else {
            return Err(Error::new(ErrorKind::Unsupported, "subscribe").with_detail("the store has no subscriber"));
        };
        let subscriber =
            Subscriber { client, channels: channels.iter().map(|c| Arc::from(*c)).collect(), options: *self.options() };
        let link = subscriber.open().await?;
        let (feed, subscription) = Subscription::new(());
        tokio::spawn(async move {
            tokio::select! {
                () = feed.closed() => {}
                () = subscriber.pump(link, &feed) => {}
            }
        });
        Ok(subscription)
    }

    async fn psubscribe(&self, _patterns: &[&str]) -> Result<Subscription> {
        Err(Error::new(ErrorKind::Unsupported, "psubscribe"))
    }

    fn channel_name<'a>(&self, channel: &'a str) -> Cow<'a, str> {
        channel.into()
    }
}

struct Subscriber {
    client: Client,
    channels: Vec<Arc<str>>,
    options: RedisOptions,
}

type Link = (PubSubSink, PubSubStream);

impl Subscriber {
    /// Connects and subscribes; every message published after this arrives on the link.
    async fn open(&self) -> Result<Link> {
        let opening = async {
            let (mut sink, stream) = self.client.get_async_pubsub().await?.split();
            sink.subscribe(self.channels.iter().map(|channel| &**channel).collect::<Vec<_>>()).await?;
            RedisResult::Ok((sink, stream))
        };
        match timeout(self.options.connect_timeout.saturating_add(self.options.deadline), opening).await {
            Ok(link) => link.map_err(|error| classify("subscribe", &error)),
            Err(_) => Err(timed_out("subscribe")),
        }
    }

    /// Hands over messages for ever, across lost links, with a gap at the loss and another when it is mended.
    async fn pump(&self, mut link: Link, feed: &Feed) {
        loop {
            self.forward(&mut link, feed).await;
            feed.gap();
            link = self.reopen().await;
            feed.gap();
        }
    }

    /// Hands over messages until the link is lost: it ends, or does not answer a probe.
    async fn forward(&self, (sink, stream): &mut Link, feed: &Feed) {
        loop {
            match timeout(self.options.heartbeat, stream.next()).await {
                Ok(Some(message)) => drop(feed.deliver(self.message(&message))),
                Ok(None) => return,
                Err(_) => match timeout(self.options.deadline, sink.ping::<Value>()).await {
                    Ok(Ok(_)) => {}
                    _ => return,
                },
            }
        }
    }

    async fn reopen(&self) -> Link {
        let policy = RetryPolicy::default().base(Duration::from_millis(50));
        let mut attempt = 0;
        loop {
            sleep(policy.backoff(attempt)).await;
            match self.open().await {
                Ok(link) => return link,
                Err(error) => tracing::warn!(%error, "subscription is down"),
            }
            attempt = attempt.saturating_add(1);
        }
    }

    fn message(&self, message: &Msg) -> Message {
        let name = message.get_channel_name();
        let known = self.channels.iter().find(|channel| ***channel == *name);
        let channel = known.cloned().unwrap_or_else(|| Arc::from(name));
        Message { channel, pattern: None, payload: bytes::Bytes::copy_from_slice(message.get_payload_bytes()) }
    }
}
