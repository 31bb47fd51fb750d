use crate::{
    RedisStore,
    cluster::slot::slot,
    home::Kind,
    site::Site,
    subscriber::{Subscriber, Wish},
    target::Touch,
};
use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{Error, ErrorKind, Feed, Message, PubSub, Result, Subscription};
use redis::{Cmd, PushInfo, PushKind, Value, cmd};
use std::{borrow::Cow, sync::Arc};

#[async_trait]
impl PubSub for RedisStore {
    async fn publish(&self, channel: &str, payload: &[u8]) -> Result<u64> {
        self.limits().check_key("publish", channel)?;
        self.limits().check_value("publish", payload)?;
        // In a cluster any node would do, but only one and the same keeps the messages in order.
        self.query("publish", Touch::Write(channel), cmd("PUBLISH").arg(channel).arg(payload)).await
    }

    /// One connection and one task per subscription; a lost link is opened again until the subscription is dropped.
    async fn subscribe(&self, channels: &[&str]) -> Result<Subscription> {
        self.listen("subscribe", "SUBSCRIBE", channels, slot_of_first(channels)).await
    }

    async fn psubscribe(&self, patterns: &[&str]) -> Result<Subscription> {
        self.listen("psubscribe", "PSUBSCRIBE", patterns, None).await
    }

    fn channel_name<'a>(&self, channel: &'a str) -> Cow<'a, str> {
        channel.into()
    }
}

/// Messages that stay within the shard of their channel's hash slot (Redis 7.0), where plain ones go to every node of a cluster.
#[derive(Clone, Debug)]
pub struct ShardedPubSub(RedisStore);

impl RedisStore {
    /// Publish and subscribe within a shard: `SPUBLISH` and `SSUBSCRIBE`.
    ///
    /// The channels of one subscription must share a hash slot; there are no patterns.
    pub fn sharded_pubsub(&self) -> ShardedPubSub {
        ShardedPubSub(self.clone())
    }

    async fn listen(
        &self,
        operation: &'static str,
        command: &'static str,
        names: &[&str],
        slot: Option<u16>,
    ) -> Result<Subscription> {
        if names.is_empty() {
            return Err(Error::invalid_input(operation, "no channel given"));
        }
        self.limits().check_keys(operation, names)?;
        let home = self.require_home(operation)?;
        let site = match &home.kind {
            Kind::Server(address, _) => Site::Server(address.clone()),
            Kind::Sentinel(sentinels, _) => Site::Master(sentinels.clone()),
            Kind::Cluster(cluster) => Site::Cluster(cluster.clone(), slot),
        };
        let names = names.iter().map(|name| Arc::from(*name)).collect();
        let wish = Arc::new(Channels { command, names });
        Subscriber { dialer: home.dialer.clone(), site, wish }.start(operation).await
    }
}

#[async_trait]
impl PubSub for ShardedPubSub {
    async fn publish(&self, channel: &str, payload: &[u8]) -> Result<u64> {
        self.0.limits().check_key("spublish", channel)?;
        self.0.limits().check_value("spublish", payload)?;
        self.0.query("spublish", Touch::Write(channel), cmd("SPUBLISH").arg(channel).arg(payload)).await
    }

    async fn subscribe(&self, channels: &[&str]) -> Result<Subscription> {
        self.0.check_slots("ssubscribe", channels)?;
        self.0.listen("ssubscribe", "SSUBSCRIBE", channels, slot_of_first(channels)).await
    }

    async fn psubscribe(&self, _patterns: &[&str]) -> Result<Subscription> {
        Err(Error::new(ErrorKind::Unsupported, "psubscribe").with_detail("sharded channels have no patterns"))
    }

    fn channel_name<'a>(&self, channel: &'a str) -> Cow<'a, str> {
        channel.into()
    }
}

/// Messages on channels, or on those that match patterns.
pub(crate) struct Channels {
    pub(crate) command: &'static str,
    pub(crate) names: Vec<Arc<str>>,
}

impl Wish for Channels {
    type Item = Message;

    fn commands(&self) -> Vec<Cmd> {
        let ask = |name: &Arc<str>| {
            let mut command = cmd(self.command);
            command.arg(&**name);
            command
        };
        self.names.iter().map(ask).collect()
    }

    fn receive(&self, push: PushInfo, feed: &Feed) -> bool {
        if push.kind == PushKind::SUnsubscribe {
            return false;
        }
        if let Some(message) = self.message(push) {
            feed.deliver(message);
        }
        true
    }
}

impl Channels {
    fn message(&self, push: PushInfo) -> Option<Message> {
        let known = |name: &[u8]| {
            let shared = self.names.iter().find(|known| known.as_bytes() == name).cloned();
            shared.unwrap_or_else(|| String::from_utf8_lossy(name).into())
        };
        let mut data =
            push.data.into_iter().map(|value| if let Value::BulkString(bytes) = value { bytes } else { Vec::new() });
        let mut next = || data.next();
        match push.kind {
            PushKind::Message | PushKind::SMessage => {
                Some(Message { channel: known(&next()?), pattern: None, payload: Bytes::from(next()?) })
            }
            PushKind::PMessage => {
                let pattern = Some(known(&next()?));
                Some(Message { pattern, channel: known(&next()?), payload: Bytes::from(next()?) })
            }
            _ => None,
        }
    }
}

fn slot_of_first(channels: &[&str]) -> Option<u16> {
    channels.first().map(|channel| slot(channel.as_bytes()))
}
