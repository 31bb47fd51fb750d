use super::MemoryStore;
use crate::{Feed, KeyChanges, Result, Subscription, Tracking};
use async_trait::async_trait;
use std::sync::Arc;

/// Who wants to know which keys change. Those who are gone go with the next change, or with the next one who tracks.
#[derive(Default)]
pub(super) struct Trackers(Vec<Tracker>);

struct Tracker {
    prefixes: Vec<Box<str>>,
    feed: Feed<Arc<str>>,
}

impl Trackers {
    /// Whether nobody tracks: then a change costs this one look.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn report(&mut self, key: &str) {
        if self.is_empty() {
            return;
        }
        let mut shared: Option<Arc<str>> = None;
        self.0.retain(|tracker| {
            if tracker.prefixes.iter().any(|prefix| key.starts_with(&**prefix)) {
                tracker.feed.deliver(shared.get_or_insert_with(|| key.into()).clone())
            } else {
                !tracker.feed.is_closed()
            }
        });
    }

    fn track(&mut self, prefixes: &[&str]) -> KeyChanges {
        self.0.retain(|tracker| !tracker.feed.is_closed());
        let (feed, changes) = Subscription::new(());
        self.0.push(Tracker { prefixes: prefixes.iter().map(|prefix| (*prefix).into()).collect(), feed });
        changes
    }
}

#[async_trait]
impl Tracking for MemoryStore {
    /// A change is reported within the call that makes it. The struct of a twin counts as changed whenever a twin looks at it.
    async fn track(&self, prefixes: &[&str]) -> Result<KeyChanges> {
        self.inner.limits.check_prefixes("track", prefixes)?;
        Ok(self.lock().0.trackers.track(prefixes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, KvStore, SetOptions};

    #[tokio::test]
    async fn those_who_are_gone_leave_nothing_behind() {
        let store = MemoryStore::new();
        let count = || store.lock().0.trackers.0.len();
        let mut stays = store.track(&["a", "ab", ""]).await.unwrap();
        for _ in 0..10 {
            drop(store.track(&["b"]).await.unwrap());
        }
        assert_eq!(count(), 2);
        store.set("ab", b"", SetOptions::default()).await.unwrap();
        assert_eq!((count(), stays.next_event().await), (1, Some(Event::Message("ab".into()))));
        drop(store);
        assert_eq!(stays.next_event().await, None, "told once, and the store is gone");
    }
}
