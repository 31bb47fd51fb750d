use crate::{Result, Subscription};
use async_trait::async_trait;
use std::sync::Arc;

/// The keys that change, as [`Event::Message`](crate::Event::Message)s; after an [`Event::Gap`](crate::Event::Gap) any of them may have
/// changed.
pub type KeyChanges = Subscription<Arc<str>>;

/// The capability of telling which keys change, whoever changes them: what a cache in this process needs to know.
#[async_trait]
pub trait Tracking: Send + Sync {
    /// Tracks the keys that begin with one of the prefixes; an empty prefix is every key.
    ///
    /// Once this returns, every later change arrives: a write, a deletion, another TTL, an eviction, and an expiry when the store
    /// finds it, which may be long after the deadline. It comes at least once, soon after it happened, and without saying what it was; changes in quick
    /// succession may come as one, and what leaves the value as it was may be reported too. Reading is no change. What cannot be told key by
    /// key is a [`Gap`](crate::Event::Gap): a link that was down, a subscriber that was too slow, a flush. Keys that are not UTF-8 are left
    /// out. No prefix at all is [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput); a server that cannot track is
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported). Dropping the subscription ends it.
    ///
    /// ```
    /// # use kv_core::*;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
    /// let store = MemoryStore::new();
    /// let mut changes = store.track(&["user:"]).await?;
    /// store.set("user:ada", b"1", SetOptions::default()).await?;
    /// assert_eq!(changes.next_event().await, Some(Event::Message("user:ada".into())));
    /// # Ok(()) }
    /// ```
    #[doc(alias("CLIENT TRACKING", "invalidate", "keyspace notification"))]
    async fn track(&self, prefixes: &[&str]) -> Result<KeyChanges>;
}
