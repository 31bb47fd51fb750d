mod capability;

use crate::{
    BlockingStore, Capabilities, Error, KvStore, PubSub, Replication, Result, ScanStore, ScriptStore, SetOptions,
    Tracking, Ttl,
};
use async_trait::async_trait;
use bytes::Bytes;
use std::time::Duration;

/// A store whose keys and channels all begin with `namespace:`, unseen by those who use it.
///
/// The prefix goes on the way in and comes off on the way back: from scans, from the name of the list that `pop` took from,
/// from the keys that change, from the channel and pattern of a message. A script gets its keys with the prefix and its arguments as they are; one
/// that publishes gets the name from [`PubSub::channel_name`]. Hash tags keep working, because a namespace
/// holds no braces. The longest key is shorter by the prefix.
///
/// ```
/// # use kv_core::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// let memory = MemoryStore::new();
/// let shop = Namespaced::new(memory.clone(), "shop")?;
/// shop.set("greeting", b"hello", SetOptions::default()).await?;
/// assert_eq!(memory.get("shop:greeting").await?.unwrap(), "hello");
/// assert_eq!(memory.get("greeting").await?, None);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Namespaced<S> {
    prefix: String,
    store: S,
}

impl<S: KvStore> Namespaced<S> {
    /// A namespace of the store; its name must not be empty nor hold braces.
    pub fn new(store: S, namespace: &str) -> Result<Self> {
        if namespace.is_empty() || namespace.contains(['{', '}']) {
            return Err(Error::invalid_config("layers", "namespace must not be empty nor hold braces"));
        }
        Ok(Self { store, prefix: format!("{namespace}:") })
    }

    /// The store beneath.
    pub fn inner(&self) -> &S {
        &self.store
    }

    /// With the prefix; an empty name would no longer be empty, so it is refused here.
    fn add(&self, operation: &'static str, name: &str) -> Result<String> {
        if name.is_empty() {
            return Err(Error::invalid_input(operation, "key must not be empty"));
        }
        Ok([&self.prefix, name].concat())
    }

    fn add_all(&self, operation: &'static str, names: &[&str]) -> Result<Vec<String>> {
        names.iter().map(|name| self.add(operation, name)).collect()
    }
}

fn borrow(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

#[async_trait]
impl<S: KvStore> KvStore for Namespaced<S> {
    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        self.store.get(&self.add("get", key)?).await
    }

    async fn get_range(&self, key: &str, offset: usize, len: usize) -> Result<Bytes> {
        self.store.get_range(&self.add("get_range", key)?, offset, len).await
    }

    async fn set(&self, key: &str, value: &[u8], options: SetOptions) -> Result<bool> {
        self.store.set(&self.add("set", key)?, value, options).await
    }

    async fn delete(&self, keys: &[&str]) -> Result<u64> {
        self.store.delete(&borrow(&self.add_all("delete", keys)?)).await
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        self.store.exists(&self.add("exists", key)?).await
    }

    async fn ttl(&self, key: &str) -> Result<Ttl> {
        self.store.ttl(&self.add("ttl", key)?).await
    }

    async fn expire(&self, key: &str, ttl: Duration) -> Result<bool> {
        self.store.expire(&self.add("expire", key)?, ttl).await
    }

    async fn incr_by(&self, key: &str, delta: i64) -> Result<i64> {
        self.store.incr_by(&self.add("incr_by", key)?, delta).await
    }

    async fn mget(&self, keys: &[&str]) -> Result<Vec<Option<Bytes>>> {
        self.store.mget(&borrow(&self.add_all("mget", keys)?)).await
    }

    async fn mset(&self, entries: &[(&str, &[u8])], ttl: Option<Duration>) -> Result<()> {
        let keys = entries.iter().map(|(key, _)| self.add("mset", key)).collect::<Result<Vec<_>>>()?;
        let entries: Vec<(&str, &[u8])> =
            keys.iter().zip(entries).map(|(key, (_, value))| (key.as_str(), *value)).collect();
        self.store.mset(&entries, ttl).await
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.store.capabilities();
        let longest = &mut capabilities.limits.max_key_bytes;
        *longest = longest.saturating_sub(self.prefix.len());
        capabilities
    }

    fn scripts(&self) -> Option<&dyn ScriptStore> {
        self.store.scripts().is_some().then_some(self)
    }

    fn pubsub(&self) -> Option<&dyn PubSub> {
        self.store.pubsub().is_some().then_some(self)
    }

    fn scan(&self) -> Option<&dyn ScanStore> {
        self.store.scan().is_some().then_some(self)
    }

    fn blocking(&self) -> Option<&dyn BlockingStore> {
        self.store.blocking().is_some().then_some(self)
    }

    fn replication(&self) -> Option<&dyn Replication> {
        self.store.replication().is_some().then_some(self)
    }

    fn tracking(&self) -> Option<&dyn Tracking> {
        self.store.tracking().is_some().then_some(self)
    }
}
