use crate::Message;
use std::{
    any::Any,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};
use tokio::sync::mpsc::{self, error::TrySendError};

/// What a subscriber sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<T = Message> {
    /// A message, or for [`KeyChanges`](crate::KeyChanges) the key that changed.
    Message(T),
    /// Messages may have been lost about here: the link was down, or the subscriber too slow.
    Gap,
}

type Rename<T> = Box<dyn Fn(&mut T) + Send + Sync>;

/// The receiving end of [`PubSub::subscribe`](crate::PubSub::subscribe), and of [`Tracking::track`](crate::Tracking::track).
///
/// It buffers a bounded number of messages. When it is full, newer ones are dropped and an [`Event::Gap`] says so: a slow subscriber
/// never slows the others, and never misses something without being told.
pub struct Subscription<T = Message> {
    events: mpsc::Receiver<Event<T>>,
    state: Arc<State>,
    /// What layers do to a message, in the order it meets them.
    renames: Vec<Rename<T>>,
    _link: Box<dyn Any + Send + Sync>,
}

/// What both ends know beside the buffer.
#[derive(Debug, Default)]
struct State {
    /// Something was lost for which the buffer had no room.
    gap: AtomicBool,
    /// How many links are down.
    outages: AtomicUsize,
}

impl Subscription {
    /// How many events a subscription buffers.
    pub const BUFFER: usize = 1024;

    /// The next message, past all gaps; `None` once the store is gone for good. Cancel safe.
    pub async fn next_message(&mut self) -> Option<Message> {
        loop {
            if let Event::Message(message) = self.next_event().await? {
                return Some(message);
            }
        }
    }
}

impl<T> Subscription<T> {
    /// A subscription and the end that feeds it, for those who write a store. The link is dropped with the subscription.
    pub fn new(link: impl Any + Send + Sync) -> (Feed<T>, Self) {
        let (sender, events) = mpsc::channel(Subscription::BUFFER);
        let state = Arc::<State>::default();
        let feed = Feed { events: sender, state: state.clone() };
        (feed, Self { events, state, renames: Vec::new(), _link: Box::new(link) })
    }

    /// The same subscription with its messages changed on their way, for those who write a layer that renames channels or keys.
    #[must_use]
    pub fn rename(mut self, rename: impl Fn(&mut T) + Send + Sync + 'static) -> Self {
        self.renames.push(Box::new(rename));
        self
    }

    /// The next message or gap; `None` once the store is gone for good. Cancel safe.
    pub async fn next_event(&mut self) -> Option<Event<T>> {
        if self.state.gap.swap(false, Ordering::AcqRel) {
            return Some(Event::Gap);
        }
        let mut event = self.events.recv().await?;
        if let Event::Message(message) = &mut event {
            self.renames.iter().for_each(|rename| rename(message));
        }
        Some(event)
    }

    /// Whether messages arrive, as far as is known; `false` from the loss of a link until it is mended.
    ///
    /// Both are followed by an [`Event::Gap`]: ask when one comes.
    pub fn is_live(&self) -> bool {
        self.state.outages.load(Ordering::Acquire) == 0
    }
}

impl<T> fmt::Debug for Subscription<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("buffered", &self.events.len()).finish_non_exhaustive()
    }
}

/// The sending end of a [`Subscription`]: never waits, never grows.
#[derive(Debug)]
pub struct Feed<T = Message> {
    events: mpsc::Sender<Event<T>>,
    state: Arc<State>,
}

impl<T> Feed<T> {
    /// Hands over a message, or notes a gap when the buffer is full; `false` once the subscription is dropped.
    pub fn deliver(&self, message: T) -> bool {
        self.send(Event::Message(message))
    }

    /// Notes that messages may have been lost; `false` once the subscription is dropped.
    pub fn gap(&self) -> bool {
        self.send(Event::Gap)
    }

    /// Notes that a link is down, and that it is mended when what this returns is dropped: a gap each.
    pub fn outage(&self) -> Outage<T> {
        self.state.outages.fetch_add(1, Ordering::AcqRel);
        self.gap();
        Outage { feed: self.clone() }
    }

    /// Whether the subscription is dropped.
    pub fn is_closed(&self) -> bool {
        self.events.is_closed()
    }

    /// Waits until the subscription is dropped.
    pub async fn closed(&self) {
        self.events.closed().await;
    }

    fn send(&self, event: Event<T>) -> bool {
        match self.events.try_send(event) {
            Ok(()) => true,
            Err(TrySendError::Closed(_)) => false,
            Err(TrySendError::Full(_)) => {
                self.state.gap.store(true, Ordering::Release);
                // The buffer may have been drained since: a receiver that waits already is woken by an event only.
                !matches!(self.events.try_send(Event::Gap), Err(TrySendError::Closed(_)))
            }
        }
    }
}

impl<T> Clone for Feed<T> {
    fn clone(&self) -> Self {
        Self { events: self.events.clone(), state: self.state.clone() }
    }
}

/// A link that is down, until this is dropped; see [`Feed::outage`].
#[derive(Debug)]
pub struct Outage<T = Message> {
    feed: Feed<T>,
}

impl<T> Drop for Outage<T> {
    fn drop(&mut self) {
        self.feed.state.outages.fetch_sub(1, Ordering::AcqRel);
        self.feed.gap();
    }
}
