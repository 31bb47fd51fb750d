use crate::{CompressOptions, Compressor, offload::offload, stored};
use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{
    BlockingStore, Capabilities, KvStore, PubSub, Replication, Result, ScanStore, ScriptStore, SetOptions, Tracking,
    Ttl,
};
use std::{sync::Arc, time::Duration};

/// A store that compresses the values of a store.
///
/// `get`, `set`, `mget` and `mset` compress, and cost no round trip of their own. Everything else passes through: counters work because short values
/// stay as they are, while scripts, lists and messages see and write the bytes as stored. A pattern that writes through
/// scripts takes [`Compressor`] as its transform instead.
///
/// A damaged value is [`Corrupt`](kv_core::ErrorKind::Corrupt), and fails an `mget` it is part of.
#[derive(Clone, Debug)]
pub struct Compressed<S> {
    store: S,
    compressor: Arc<Compressor>,
}

impl<S: KvStore> Compressed<S> {
    /// Wraps a store; [`InvalidConfig`](kv_core::ErrorKind::InvalidConfig) names the option that cannot be.
    pub fn new(store: S, options: CompressOptions) -> Result<Self> {
        Ok(Self { store, compressor: Arc::new(Compressor::of_store(options)?) })
    }

    /// The store beneath.
    pub fn inner(&self) -> &S {
        &self.store
    }

    fn is_much(&self, work: usize) -> bool {
        work >= self.compressor.options().offload_from
    }

    /// What is to be stored, `None` for the value as it is.
    async fn write(&self, value: &[u8]) -> Result<Option<Vec<u8>>> {
        let (value, compressor) = (value.to_vec(), self.compressor.clone());
        offload(move || stored::write(&value, &compressor)).await
    }

    async fn read(&self, stored: Bytes) -> Result<Bytes> {
        let compressor = self.compressor.clone();
        offload(move || stored::read(stored, &compressor)).await
    }
}

#[async_trait]
impl<S: KvStore> KvStore for Compressed<S> {
    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        let Some(stored) = self.store.get(key).await? else { return Ok(None) };
        if self.is_much(stored::work_to_read(&stored, &self.compressor)) {
            // Boxed, because a future is moved, however little of it is needed.
            return Box::pin(self.read(stored)).await.map(Some);
        }
        stored::read(stored, &self.compressor).map(Some)
    }

    async fn get_range(&self, key: &str, offset: usize, len: usize) -> Result<Bytes> {
        self.store.get_range(key, offset, len).await
    }

    async fn set(&self, key: &str, value: &[u8], options: SetOptions) -> Result<bool> {
        let stored = if self.is_much(stored::work_to_write(value, &self.compressor)) {
            Box::pin(self.write(value)).await?
        } else {
            stored::write(value, &self.compressor)?
        };
        self.store.set(key, stored.as_deref().unwrap_or(value), options).await
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
        let found = self.store.mget(keys).await?;
        let work = found.iter().flatten().map(|stored| stored::work_to_read(stored, &self.compressor));
        let is_much = self.is_much(work.fold(0, usize::saturating_add));
        let compressor = self.compressor.clone();
        let read = move || {
            let read = |stored: Option<Bytes>| stored.map(|stored| stored::read(stored, &compressor)).transpose();
            found.into_iter().map(read).collect()
        };
        if is_much { offload(read).await } else { read() }
    }

    async fn mset(&self, entries: &[(&str, &[u8])], ttl: Option<Duration>) -> Result<()> {
        let work = entries.iter().map(|(_, value)| stored::work_to_write(value, &self.compressor));
        let stored: Vec<Option<Vec<u8>>> = if self.is_much(work.fold(0, usize::saturating_add)) {
            let values: Vec<Vec<u8>> = entries.iter().map(|(_, value)| value.to_vec()).collect();
            let compressor = self.compressor.clone();
            offload(move || values.iter().map(|value| stored::write(value, &compressor)).collect()).await?
        } else {
            entries.iter().map(|(_, value)| stored::write(value, &self.compressor)).collect::<Result<_>>()?
        };
        let entries = entries.iter().zip(&stored);
        let stored: Vec<_> = entries.map(|((key, value), stored)| (*key, stored.as_deref().unwrap_or(value))).collect();
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
