use crate::{CompressOptions, Gzip, mark};
use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{
    BlockingStore, Capabilities, KvStore, PubSub, Replication, Result, ScanStore, ScriptStore, SetOptions, Tracking,
    Ttl,
};
use std::{borrow::Cow, time::Duration};

/// A store that compresses the values of a store.
///
/// `get`, `set`, `mget` and `mset` compress. Everything else passes through: counters work because short values stay as they are,
/// while scripts and messages see and write the bytes as stored. A pattern that writes through scripts takes [`Gzip`] as its
/// transform instead.
#[derive(Clone, Debug)]
pub struct Compressed<S> {
    store: S,
    gzip: Gzip,
}

impl<S: KvStore> Compressed<S> {
    /// Wraps a store; [`InvalidConfig`](kv_core::ErrorKind::InvalidConfig) names the option that cannot be.
    pub fn new(store: S, options: CompressOptions) -> Result<Self> {
        Ok(Self { store, gzip: Gzip::new(options)? })
    }

    /// The store beneath.
    pub fn inner(&self) -> &S {
        &self.store
    }

    fn read(&self, stored: Bytes) -> Result<Bytes> {
        Ok(mark::read(&stored, &self.gzip)?.map_or(stored, Bytes::from))
    }
}

#[async_trait]
impl<S: KvStore> KvStore for Compressed<S> {
    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        self.store.get(key).await?.map(|stored| self.read(stored)).transpose()
    }

    async fn get_range(&self, key: &str, offset: usize, len: usize) -> Result<Bytes> {
        self.store.get_range(key, offset, len).await
    }

    async fn set(&self, key: &str, value: &[u8], options: SetOptions) -> Result<bool> {
        let stored = mark::write(value, &self.gzip)?;
        self.store.set(key, &stored, options).await
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
        let stored = self.store.mget(keys).await?;
        stored.into_iter().map(|stored| stored.map(|stored| self.read(stored)).transpose()).collect()
    }

    async fn mset(&self, entries: &[(&str, &[u8])], ttl: Option<Duration>) -> Result<()> {
        let stored: Vec<(&str, Cow<'_, [u8]>)> =
            entries.iter().map(|(key, value)| Ok((*key, mark::write(value, &self.gzip)?))).collect::<Result<_>>()?;
        let stored: Vec<(&str, &[u8])> = stored.iter().map(|(key, value)| (*key, &**value)).collect();
        self.store.mset(&stored, ttl).await
    }

    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    fn scripts(&self) -> Option<&dyn ScriptStore> {
        self.store.scripts()
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
