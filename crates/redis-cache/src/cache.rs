use crate::{
    CacheOptions, CacheStats,
    away::Patience,
    clock::ServerClock,
    flight::Flights,
    lease::Keys,
    news::{Newsroom, Reader},
    permits::Permits,
    refresh::Refreshes,
    remote::Remote,
    stats::Counters,
};
use kv_core::{Codec, Keyspace, KvStore, KvStoreExt, Result};
use std::{
    fmt,
    sync::{Arc, Weak},
};

/// A read-through cache of one type of value. Clones share everything.
pub struct Cache<V> {
    pub(crate) inner: Arc<Inner<V>>,
}

pub(crate) struct Inner<V> {
    pub(crate) remote: Arc<Remote<V>>,
    pub(crate) flights: Flights<V>,
    pub(crate) refreshes: Refreshes,
    pub(crate) permits: Permits,
}

#[cfg(feature = "json")]
impl<V> Cache<V>
where
    kv_core::Json: Codec<V>,
{
    /// A cache of any serde type, as JSON; see [`with_codec`](Self::with_codec).
    pub fn new(store: Arc<dyn KvStore>, options: CacheOptions) -> Result<Self> {
        Self::with_codec(store, kv_core::Json, options)
    }
}

impl<V> Cache<V> {
    /// A cache with a codec of one's own, on a store that runs scripts.
    ///
    /// Errors: [`InvalidConfig`](kv_core::ErrorKind::InvalidConfig) naming the option;
    /// [`Unsupported`](kv_core::ErrorKind::Unsupported) for a store without scripts. No round trip.
    pub fn with_codec(store: Arc<dyn KvStore>, codec: impl Codec<V> + 'static, options: CacheOptions) -> Result<Self> {
        options.check()?;
        store.require_scripts("cache")?;
        let keys = Keyspace::new(&options.prefix)?;
        let permits = Permits::new(&options);
        let remote = Remote {
            store,
            codec: Box::new(codec),
            keys,
            news: Newsroom::new(&options.prefix),
            patience: Patience::new(&options)?,
            options,
            counters: Counters::default(),
            clock: ServerClock::default(),
        };
        let (flights, refreshes) = (Flights::default(), Refreshes::default());
        Ok(Self { inner: Arc::new(Inner { remote: Arc::new(remote), flights, refreshes, permits }) })
    }

    /// What the cache did since it was built.
    pub fn stats(&self) -> CacheStats {
        self.inner.remote.counters.snapshot()
    }
}

impl<V> Inner<V> {
    pub(crate) fn keys(&self, key: &str) -> Result<Keys> {
        let keys = &self.remote.keys;
        Ok(Keys { entry: keys.key(key, "")?, lease: keys.key(key, "load")? })
    }

    /// The tag that all entries have.
    pub(crate) fn all(&self) -> Option<String> {
        self.remote.options.clearable.then(String::new)
    }

    /// Shares with nobody who asks from now on what was asked for before.
    pub(crate) fn forget(&self, key: &str) {
        self.refreshes.forget(key);
        self.flights.forget(key);
    }
}

impl<V: Send + Sync + 'static> Inner<V> {
    /// Listens to what other processes do, from now on; `false` on a store where nothing is to be heard.
    pub(crate) async fn listen(self: &Arc<Self>) -> Result<bool> {
        self.remote.news.open(self.remote.store.pubsub(), || Box::new(Watch(Arc::downgrade(self)))).await
    }
}

/// Keeps no cache alive.
struct Watch<V>(Weak<Inner<V>>);

impl<V: Send + Sync + 'static> Reader for Watch<V> {
    fn changed(&self, key: &str) {
        if let Some(inner) = self.0.upgrade() {
            inner.forget(key);
        }
    }

    fn renewed(&self, _tag: &str) {}

    fn missed(&self) {}
}

impl<V> Clone for Cache<V> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<V> fmt::Debug for Cache<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("options", &self.inner.remote.options)
            .field("flights", &self.inner.flights)
            .field("loads", &self.inner.permits)
            .finish_non_exhaustive()
    }
}
