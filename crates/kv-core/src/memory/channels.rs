use crate::{Feed, Message, Subscription};
use bytes::Bytes;
use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

type Subscribers = HashMap<String, Vec<Feed>>;

/// Who listens on which channel. Subscribers that are gone go with the next message or subscription on their channel.
#[derive(Default)]
pub(super) struct Channels {
    subscribers: Mutex<Subscribers>,
}

impl Channels {
    pub(super) fn publish(&self, channel: &str, payload: &Bytes) -> u64 {
        let mut subscribers = self.lock();
        let Some(feeds) = subscribers.get_mut(channel) else { return 0 };
        let message = Message { channel: channel.into(), payload: payload.clone() };
        feeds.retain(|feed| feed.deliver(message.clone()));
        let reached = feeds.len() as u64;
        if feeds.is_empty() {
            subscribers.remove(channel);
        }
        reached
    }

    pub(super) fn subscribe(&self, channels: &[&str]) -> Subscription {
        let (feed, subscription) = Subscription::new(());
        let mut subscribers = self.lock();
        for (at, channel) in channels.iter().enumerate() {
            if channels[..at].contains(channel) {
                continue;
            }
            let feeds = subscribers.entry((*channel).to_owned()).or_default();
            feeds.retain(|feed| !feed.is_closed());
            feeds.push(feed.clone());
        }
        subscription
    }

    fn lock(&self) -> MutexGuard<'_, Subscribers> {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Channels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channels").field("channels", &self.lock().len()).finish()
    }
}
