//! A store of which somebody else runs the scripts, or nobody.

use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{
    BlockingStore, Capabilities, KvStore, PubSub, Replication, Result, ScanStore, ScriptStore, SetOptions, Tracking,
    Ttl,
};
use std::{fmt, sync::Arc, time::Duration};

#[derive(Debug)]
pub(crate) struct Scripted<S> {
    store: Arc<dyn KvStore>,
    scripts: Option<S>,
}

impl<S: ScriptStore + fmt::Debug + 'static> Scripted<S> {
    pub(crate) fn by(store: Arc<dyn KvStore>, scripts: Option<S>) -> Arc<dyn KvStore> {
        Arc::new(Self { store, scripts })
    }
}

#[async_trait]
impl<S: ScriptStore + fmt::Debug> KvStore for Scripted<S> {
    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        self.store.get(key).await
    }
    async fn get_range(&self, key: &str, offset: usize, len: usize) -> Result<Bytes> {
        self.store.get_range(key, offset, len).await
    }
    async fn set(&self, key: &str, value: &[u8], options: SetOptions) -> Result<bool> {
        self.store.set(key, value, options).await
    }
    async fn delete(&self, keys: &[&str]) -> Result<u64> {
        self.store.delete(keys).await
    }
    async fn exists(&self, key: &str) -> Result<bool> {
        self.store.exists(key).await
    }
    async fn ttl(&self, key: &str) -> Result<Ttl> {
        self.store.ttl(key).await
    }
    async fn expire(&self, key: &str, ttl: Duration) -> Result<bool> {
        self.store.expire(key, ttl).await
    }
    async fn incr_by(&self, key: &str, delta: i64) -> Result<i64> {
        self.store.incr_by(key, delta).await
    }
    async fn mget(&self, keys: &[&str]) -> Result<Vec<Option<Bytes>>> {
        self.store.mget(keys).await
    }
    async fn mset(&self, entries: &[(&str, &[u8])], ttl: Option<Duration>) -> Result<()> {
        self.store.mset(entries, ttl).await
    }
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }
    fn scripts(&self) -> Option<&dyn ScriptStore> {
        self.scripts.as_ref().map(|scripts| scripts as &dyn ScriptStore)
    }
    fn pubsub(&self) -> Option<&dyn PubSub> {
        self.store.pubsub()
    }
    fn scan(&self) -> Option<&dyn ScanStore> {
        self.store.scan()
    }
    fn blocking(&self) -> Option<&dyn BlockingStore> {
        self.store.blocking()
    }
    fn replication(&self) -> Option<&dyn Replication> {
        self.store.replication()
    }
    fn tracking(&self) -> Option<&dyn Tracking> {
        self.store.tracking()
    }
}
