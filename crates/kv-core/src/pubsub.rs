use crate::Result;
use async_trait::async_trait;
use bytes::Bytes;
use std::{
    any::Any,
    borrow::Cow,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::mpsc::{self, error::TrySendError};

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

/// What a subscriber sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message.
    Message(Message),
    /// Messages may have been lost about here: the link was down, or the subscriber too slow.
    Gap,
}

/// The capability of publishing to everybody who listens now. Nothing is kept for those who do not.
#[async_trait]
pub trait PubSub: Send + Sync {
    /// Publishes a message, and says how many subscribers of this server got it.
    async fn publish(&self, channel: &str, payload: &[u8]) -> Result<u64>;

    /// Subscribes to channels; once this returns, every later message arrives, or a [`Event::Gap`] tells of the loss.
    ///
    /// Dropping the subscription ends it.
    async fn subscribe(&self, channels: &[&str]) -> Result<Subscription>;

    /// Subscribes to all channels that match a pattern: `*`, `?`, `[a-c]`, `[^a]`, and a backslash before what stands for itself.
    async fn psubscribe(&self, patterns: &[&str]) -> Result<Subscription>;

    /// The name under which a script has to publish for those who subscribe to this channel: a layer may rename them.
    fn channel_name<'a>(&self, channel: &'a str) -> Cow<'a, str>;
}

type Rename = Box<dyn Fn(&mut Message) + Send + Sync>;

/// The receiving end of [`PubSub::subscribe`].
///
/// It buffers a bounded number of messages. When it is full, newer ones are dropped and an [`Event::Gap`] says so: a slow subscriber
/// never slows the others, and never misses something without being told.
pub struct Subscription {
    events: mpsc::Receiver<Event>,
    gap: Arc<AtomicBool>,
    /// What layers do to a message, in the order it meets them.
    renames: Vec<Rename>,
    _link: Box<dyn Any + Send + Sync>,
}

impl Subscription {
    /// How many events a subscription buffers.
    pub const BUFFER: usize = 1024;

    /// A subscription and the end that feeds it, for those who write a store. The link is dropped with the subscription.
    pub fn new(link: impl Any + Send + Sync) -> (Feed, Self) {
        let (sender, events) = mpsc::channel(Self::BUFFER);
        let gap = Arc::new(AtomicBool::new(false));
        let feed = Feed { events: sender, gap: gap.clone() };
        (feed, Self { events, gap, renames: Vec::new(), _link: Box::new(link) })
    }

    /// The same subscription with its messages changed on their way, for those who write a layer that renames channels.
    #[must_use]
    pub fn rename(mut self, rename: impl Fn(&mut Message) + Send + Sync + 'static) -> Self {
        self.renames.push(Box::new(rename));
        self
    }

    /// The next message or gap; `None` once the store is gone for good. Cancel safe.
    pub async fn next_event(&mut self) -> Option<Event> {
        if self.gap.swap(false, Ordering::AcqRel) {
            return Some(Event::Gap);
        }
        let mut event = self.events.recv().await?;
        if let Event::Message(message) = &mut event {
            self.renames.iter().for_each(|rename| rename(message));
        }
        Some(event)
    }

    /// The next message, past all gaps; `None` once the store is gone for good. Cancel safe.
    pub async fn next_message(&mut self) -> Option<Message> {
        loop {
            if let Event::Message(message) = self.next_event().await? {
                return Some(message);
            }
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("buffered", &self.events.len()).finish_non_exhaustive()
    }
}

/// The sending end of a [`Subscription`]: never waits, never grows.
#[derive(Clone, Debug)]
pub struct Feed {
    events: mpsc::Sender<Event>,
    gap: Arc<AtomicBool>,
}

impl Feed {
    /// Hands over a message, or notes a gap when the buffer is full; `false` once the subscription is dropped.
    pub fn deliver(&self, message: Message) -> bool {
        self.send(Event::Message(message))
    }

    /// Notes that messages may have been lost; `false` once the subscription is dropped.
    pub fn gap(&self) -> bool {
        self.send(Event::Gap)
    }

    /// Whether the subscription is dropped.
    pub fn is_closed(&self) -> bool {
        self.events.is_closed()
    }

    /// Waits until the subscription is dropped.
    pub async fn closed(&self) {
        self.events.closed().await;
    }

    fn send(&self, event: Event) -> bool {
        match self.events.try_send(event) {
            Ok(()) => true,
            Err(TrySendError::Closed(_)) => false,
            Err(TrySendError::Full(_)) => {
                self.gap.store(true, Ordering::Release);
                // The buffer may have been drained since: a receiver that waits already is woken by an event only.
                !matches!(self.events.try_send(Event::Gap), Err(TrySendError::Closed(_)))
            }
        }
    }
}
