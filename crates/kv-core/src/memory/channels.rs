use crate::{Feed, Message, Subscription};
use bytes::Bytes;
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

type Subscribers = HashMap<String, Vec<Feed>>;

/// Who listens on which channel.
#[derive(Clone, Default)]
pub(super) struct Channels {
    subscribers: Arc<Mutex<Subscribers>>,
}

/// Goes with a subscription, and takes what it leaves in the channels along.
struct Listening {
    channels: Channels,
    names: Vec<String>,
}

impl Channels {
    pub(super) fn publish(&self, channel: &str, payload: &Bytes) -> u64 {
        let mut subscribers = self.lock();
        let Some(feeds) = subscribers.get_mut(channel) else { return 0 };
        let message = Message { channel: channel.into(), pattern: None, payload: payload.clone() };
        feeds.iter().filter(|feed| feed.deliver(message.clone())).count() as u64
    }

    pub(super) fn subscribe(&self, channels: &[&str]) -> Subscription {
        let mut names: Vec<String> = channels.iter().map(|name| (*name).to_owned()).collect();
        names.sort_unstable();
        names.dedup();
        let (feed, subscription) = Subscription::new(Listening { channels: self.clone(), names: names.clone() });
        let mut subscribers = self.lock();
        for name in names {
            subscribers.entry(name).or_default().push(feed.clone());
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
        for name in &self.names {
            if let Some(feeds) = subscribers.get_mut(name) {
                feeds.retain(|feed| !feed.is_closed());
                if feeds.is_empty() {
                    subscribers.remove(name);
                }
            }
        }
    }
}

impl fmt::Debug for Channels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channels").field("channels", &self.lock().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_subscription_leaves_nothing_behind() {
        let channels = Channels::default();
        let (one, two) = (channels.subscribe(&["a", "b", "a"]), channels.subscribe(&["b"]));
        assert_eq!(channels.publish("b", &Bytes::new()), 2);
        drop(one);
        assert_eq!(channels.lock().keys().collect::<Vec<_>>(), ["b"]);
        assert_eq!(channels.publish("b", &Bytes::new()), 1);
        drop(two);
        assert!(channels.lock().is_empty());
    }
}
