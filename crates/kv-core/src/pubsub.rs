use crate::{Result, Subscription};
use async_trait::async_trait;
use bytes::Bytes;
use std::{borrow::Cow, sync::Arc};

/// A published message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The channel it was published on.
    pub channel: Arc<str>,
    /// The pattern that let it through, for [`PubSub::psubscribe`].
    pub pattern: Option<Arc<str>>,
    /// What was published.
    pub payload: Bytes,
}

/// The capability of publishing to everybody who listens now. Nothing is kept for those who do not.
#[async_trait]
pub trait PubSub: Send + Sync {
    /// Publishes a message, and says how many subscribers of this server got it.
    async fn publish(&self, channel: &str, payload: &[u8]) -> Result<u64>;

    /// Subscribes to channels; once this returns, every later message arrives, or a [`Event::Gap`](crate::Event::Gap) tells of the loss.
    ///
    /// Dropping the subscription ends it.
    async fn subscribe(&self, channels: &[&str]) -> Result<Subscription>;

    /// Subscribes to all channels that match a pattern: `*`, `?`, `[a-c]`, `[^a]`, and a backslash before what stands for itself.
    async fn psubscribe(&self, patterns: &[&str]) -> Result<Subscription>;

    /// The name under which a script has to publish for those who subscribe to this channel: a layer may rename them.
    fn channel_name<'a>(&self, channel: &'a str) -> Cow<'a, str>;
}
