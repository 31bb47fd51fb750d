use crate::{CacheOptions, entry::Entry, stats::Counters};
use bytes::Bytes;
use kv_core::{Codec, Keyspace, KvStore, Result};
use std::sync::Arc;

/// What the store knows of a key.
#[derive(Debug, PartialEq, Eq)]
pub enum Lookup<V> {
    /// The value.
    Hit(Arc<V>),
    /// That there is none.
    Null,
    /// Nothing.
    Miss,
}

/// The cache in the store, shared by all processes.
pub(crate) struct Remote<V> {
    pub(crate) store: Arc<dyn KvStore>,
    pub(crate) codec: Box<dyn Codec<V>>,
    pub(crate) keys: Keyspace,
    pub(crate) options: CacheOptions,
    pub(crate) counters: Counters,
}

impl<V> Remote<V> {
    /// What the store knows of a key, by its full name; `None` when there is something that does not decode.
    pub(crate) async fn lookup(&self, key: &str) -> Result<Option<Lookup<V>>> {
        let found = match self.store.get(key).await {
            Ok(None) => Some(Lookup::Miss),
            Ok(Some(bytes)) => self.decode(&bytes),
            Err(error) => {
                self.counters.store_errors.count();
                return Err(error);
            }
        };
        found.iter().for_each(|found| self.count(found));
        Ok(found)
    }

    /// Counts a read that the store answered.
    pub(crate) fn count(&self, found: &Lookup<V>) {
        match found {
            Lookup::Miss => return,
            Lookup::Null => self.counters.null_hits.count(),
            Lookup::Hit(_) => {}
        }
        self.counters.hits.count();
    }

    pub(crate) fn decode(&self, bytes: &Bytes) -> Option<Lookup<V>> {
        let payload = match Entry::decode(bytes)? {
            Entry::Null => return Some(Lookup::Null),
            Entry::Value { transform: 0, payload } => payload,
            Entry::Value { transform, payload } => {
                let ours = self.options.transform.as_ref().filter(|ours| ours.id() == transform)?;
                ours.revert(&payload).ok()?.into()
            }
        };
        self.codec.decode(&payload).ok().map(|value| Lookup::Hit(Arc::new(value)))
    }
}
