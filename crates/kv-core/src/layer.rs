mod call;
mod capability;
mod concurrency;
mod deadline;
mod namespaced;
#[cfg(feature = "obs")]
mod observed;
mod retrying;

#[cfg(feature = "obs")]
pub use observed::Observed;
pub use {call::Call, concurrency::ConcurrencyLimit, deadline::Deadline, namespaced::Namespaced, retrying::Retrying};

use crate::{
    BlockingStore, Capabilities, Condition, KvStore, PubSub, Repeat, Replication, Result, ScanStore, ScriptStore,
    SetOptions, Tracking, Ttl,
};
use async_trait::async_trait;
use bytes::Bytes;
use std::{fmt, time::Duration};

/// What happens around every call to a store: one method sees all of them, whatever they take and return.
///
/// [`Layered`] puts it around a store, capabilities included.
///
/// ```
/// # use kv_core::*; use std::sync::atomic::{AtomicU32, Ordering};
/// #[derive(Debug, Default)]
/// struct Counting(AtomicU32);
///
/// impl Around for Counting {
///     async fn around<T: Send>(&self, mut call: Call<'_, T>) -> Result<T> {
///         self.0.fetch_add(1, Ordering::Relaxed);
///         call.run().await
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// let store = Layered::new(MemoryStore::new(), Counting::default());
/// store.get("greeting").await?;
/// store.require_pubsub("example")?.publish("news", b"hello").await?;
/// assert_eq!(store.layer().0.load(Ordering::Relaxed), 2);
/// # Ok(()) }
/// ```
pub trait Around: fmt::Debug + Send + Sync {
    /// Makes the call, or does not, or makes it again.
    fn around<T: Send>(&self, call: Call<'_, T>) -> impl Future<Output = Result<T>> + Send;

    /// What the store beneath accepts and promises, as seen through this. Default: unchanged.
    fn capabilities(&self, beneath: Capabilities) -> Capabilities {
        beneath
    }
}

/// A store with something [around](Around) each of its calls.
///
/// It has the capabilities of the store beneath. Around a call go one boxed future and one call through a pointer.
#[derive(Clone, Debug)]
pub struct Layered<S, A> {
    // Outermost first, where a stack of them is printed.
    layer: A,
    store: S,
}

impl<S: KvStore, A: Around> Layered<S, A> {
    /// Puts the layer around the store.
    pub fn new(store: S, layer: A) -> Self {
        Self { store, layer }
    }

    /// The store beneath.
    pub fn inner(&self) -> &S {
        &self.store
    }

    /// What is around it.
    pub fn layer(&self) -> &A {
        &self.layer
    }
}

#[async_trait]
impl<S: KvStore, A: Around> KvStore for Layered<S, A> {
    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        self.layer.around(Call::new("get", Repeat::Idempotent, &mut || self.store.get(key))).await
    }

    async fn get_range(&self, key: &str, offset: usize, len: usize) -> Result<Bytes> {
        let run = &mut || self.store.get_range(key, offset, len);
        self.layer.around(Call::new("get_range", Repeat::Idempotent, run)).await
    }

    async fn set(&self, key: &str, value: &[u8], options: SetOptions) -> Result<bool> {
        // A condition that the first try made untrue would be the answer of the second.
        let repeat = match options.condition {
            Condition::Always => Repeat::Idempotent,
            Condition::IfAbsent | Condition::IfPresent => Repeat::IfNotExecuted,
        };
        self.layer.around(Call::new("set", repeat, &mut || self.store.set(key, value, options))).await
    }

    async fn delete(&self, keys: &[&str]) -> Result<u64> {
        // The second try would not count what the first one deleted.
        self.layer.around(Call::new("delete", Repeat::IfNotExecuted, &mut || self.store.delete(keys))).await
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        self.layer.around(Call::new("exists", Repeat::Idempotent, &mut || self.store.exists(key))).await
    }

    async fn ttl(&self, key: &str) -> Result<Ttl> {
        self.layer.around(Call::new("ttl", Repeat::Idempotent, &mut || self.store.ttl(key))).await
    }

    async fn expire(&self, key: &str, ttl: Duration) -> Result<bool> {
        self.layer.around(Call::new("expire", Repeat::Idempotent, &mut || self.store.expire(key, ttl))).await
    }

    async fn incr_by(&self, key: &str, delta: i64) -> Result<i64> {
        self.layer.around(Call::new("incr_by", Repeat::IfNotExecuted, &mut || self.store.incr_by(key, delta))).await
    }

    async fn mget(&self, keys: &[&str]) -> Result<Vec<Option<Bytes>>> {
        self.layer.around(Call::new("mget", Repeat::Idempotent, &mut || self.store.mget(keys))).await
    }

    async fn mset(&self, entries: &[(&str, &[u8])], ttl: Option<Duration>) -> Result<()> {
        self.layer.around(Call::new("mset", Repeat::Idempotent, &mut || self.store.mset(entries, ttl))).await
    }

    fn capabilities(&self) -> Capabilities {
        self.layer.capabilities(self.store.capabilities())
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
