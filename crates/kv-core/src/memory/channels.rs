use crate::{Feed, Message, Subscription, glob};
use bytes::Bytes;
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

type Feeds = HashMap<Arc<str>, Vec<Feed>>;

#[derive(Default)]
struct Subscribers {
    by_channel: Feeds,
    by_pattern: Feeds,
}

/// How a subscription names its channels.
#[derive(Clone, Copy)]
pub(super) enum By {
    Channel,
    Pattern,
}

/// Who listens on which channel.
#[derive(Clone, Default)]
pub(super) struct Channels {
    subscribers: Arc<Mutex<Subscribers>>,
}

/// Goes with a subscription, and takes what it leaves in the channels along.
struct Listening {
    channels: Channels,
    by: By,
    names: Vec<Arc<str>>,
}

impl Subscribers {
    fn feeds(&mut self, by: By) -> &mut Feeds {
        match by {
            By::Channel => &mut self.by_channel,
            By::Pattern => &mut self.by_pattern,
        }
    }
}

impl Channels {
    /// Hands a message to every subscription once for each of its names that means the channel, as Redis does.
    pub(super) fn publish(&self, channel: &str, payload: &Bytes) -> u64 {
        let subscribers = self.lock();
        let named = subscribers.by_channel.get_key_value(channel);
        let matching =
            subscribers.by_pattern.iter().filter(|(name, _)| glob::matches(name.as_bytes(), channel.as_bytes()));
        let mut shared: Option<Arc<str>> = None;
        let mut heard = 0;
        let listeners = named.map(|(_, feeds)| (None, feeds)).into_iter();
        for (pattern, feeds) in listeners.chain(matching.map(|(name, feeds)| (Some(name.clone()), feeds))) {
            let channel = shared.get_or_insert_with(|| channel.into()).clone();
            let message = Message { channel, pattern, payload: payload.clone() };
            heard += feeds.iter().filter(|feed| feed.deliver(message.clone())).count() as u64;
        }
        heard
    }

    /// How many subscriptions name this channel: Redis' `PUBSUB NUMSUB`.
    pub(super) fn listeners(&self, channel: &str) -> u64 {
        let subscribers = self.lock();
        let feeds = subscribers.by_channel.get(channel).into_iter().flatten();
        feeds.filter(|feed| !feed.is_closed()).count() as u64
    }

    pub(super) fn subscribe(&self, by: By, names: &[&str]) -> Subscription {
        let mut names: Vec<Arc<str>> = names.iter().map(|name| Arc::from(*name)).collect();
        names.sort_unstable();
        names.dedup();
        let (feed, subscription) = Subscription::new(Listening { channels: self.clone(), by, names: names.clone() });
        let mut subscribers = self.lock();
        for name in names {
            subscribers.feeds(by).entry(name).or_default().push(feed.clone());
        }
        subscription
    }

    fn lock(&self) -> MutexGuard<'_, Subscribers> {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut subscribers = self.channels.lock();
        let by_name = subscribers.feeds(self.by);
        for name in &self.names {
            if let Some(feeds) = by_name.get_mut(name) {
                feeds.retain(|feed| !feed.is_closed());
                if feeds.is_empty() {
                    by_name.remove(name);
                }
            }
        }
    }
}

impl fmt::Debug for Channels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subscribers = self.lock();
        f.debug_struct("Channels")
            .field("channels", &subscribers.by_channel.len())
            .field("patterns", &subscribers.by_pattern.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_subscription_leaves_nothing_behind() {
        let channels = Channels::default();
        let one = channels.subscribe(By::Channel, &["a", "b", "a"]);
        let two = channels.subscribe(By::Channel, &["b"]);
        let three = channels.subscribe(By::Pattern, &["b*", "?"]);
        assert_eq!(channels.publish("b", &Bytes::new()), 4);
        assert_eq!((channels.listeners("b"), channels.listeners("c")), (2, 0), "patterns do not count");
        drop(one);
        assert_eq!(channels.lock().by_channel.keys().map(|name| &**name).collect::<Vec<_>>(), ["b"]);
        assert_eq!(channels.publish("b", &Bytes::new()), 3);
        drop((two, three));
        assert!(channels.lock().by_channel.is_empty() && channels.lock().by_pattern.is_empty());
    }
}
