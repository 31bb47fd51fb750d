use crate::{Feed, Message, Subscription, glob};
use bytes::Bytes;
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

#[derive(Default)]
struct Subscribers {
    channels: HashMap<String, Vec<Feed>>,
    patterns: HashMap<String, Vec<Feed>>,
}

/// Whether names are channels or patterns.
#[derive(Clone, Copy)]
pub(super) enum Names {
    Channels,
    Patterns,
}

/// Who listens on which channel.
#[derive(Clone, Default)]
pub(super) struct Channels {
    subscribers: Arc<Mutex<Subscribers>>,
}

/// Goes with a subscription, and takes what it leaves in the channels along.
struct Listening {
    channels: Channels,
    kind: Names,
    names: Vec<String>,
}

impl Channels {
    pub(super) fn publish(&self, channel: &str, payload: &Bytes) -> u64 {
        let subscribers = self.lock();
        let message = |pattern| Message { channel: channel.into(), pattern, payload: payload.clone() };
        let mut heard = 0;
        for feed in subscribers.channels.get(channel).into_iter().flatten() {
            heard += u64::from(feed.deliver(message(None)));
        }
        for (pattern, feeds) in &subscribers.patterns {
            if glob::matches(pattern.as_bytes(), channel.as_bytes()) {
                for feed in feeds {
                    heard += u64::from(feed.deliver(message(Some(pattern.as_str().into()))));
                }
            }
        }
        heard
    }

    pub(super) fn subscribe(&self, kind: Names, names: &[&str]) -> Subscription {
        let mut names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        names.sort_unstable();
        names.dedup();
        let (feed, subscription) = Subscription::new(Listening { channels: self.clone(), kind, names: names.clone() });
        let mut subscribers = self.lock();
        for name in names {
            subscribers.of(kind).entry(name).or_default().push(feed.clone());
        }
        subscription
    }

    fn lock(&self) -> MutexGuard<'_, Subscribers> {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscribers {
    fn of(&mut self, kind: Names) -> &mut HashMap<String, Vec<Feed>> {
        match kind {
            Names::Channels => &mut self.channels,
            Names::Patterns => &mut self.patterns,
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut subscribers = self.channels.lock();
        for name in &self.names {
            let named = subscribers.of(self.kind);
            if let Some(feeds) = named.get_mut(name) {
                feeds.retain(|feed| !feed.is_closed());
                if feeds.is_empty() {
                    named.remove(name);
                }
            }
        }
    }
}

impl fmt::Debug for Channels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channels").field("channels", &self.lock().channels.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_subscription_leaves_nothing_behind() {
        let channels = Channels::default();
        let (one, two) =
            (channels.subscribe(Names::Channels, &["a", "b", "a"]), channels.subscribe(Names::Channels, &["b"]));
        assert_eq!(channels.publish("b", &Bytes::new()), 2);
        drop(one);
        assert_eq!(channels.lock().channels.keys().collect::<Vec<_>>(), ["b"]);
        assert_eq!(channels.publish("b", &Bytes::new()), 1);
        drop(two);
        assert!(channels.lock().channels.is_empty());
    }
}
