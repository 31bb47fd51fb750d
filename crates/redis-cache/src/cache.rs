use crate::{
    CacheOptions, CacheStats,
    away::Patience,
    clock::ServerClock,
    flight::Flights,
    kept::Kept,
    lease::Keys,
    near::Near,
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
    /// What this process keeps, if it does.
    pub(crate) near: Option<Near<V, Kept>>,
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
        let near = options.near.clone().map(Near::new);
        // Until it is heard what other processes invalidate.
        near.iter().for_each(Near::link_down);
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
        Ok(Self { inner: Arc::new(Inner { remote: Arc::new(remote), flights, refreshes, permits, near }) })
    }

    /// What the cache did since it was built.
    pub fn stats(&self) -> CacheStats {
        let mut stats = self.inner.remote.counters.snapshot();
        if let Some(near) = &self.inner.near {
            stats.near_entries = near.len() as u64;
            stats.near_bytes = near.bytes();
            stats.near_evictions = near.evictions();
        }
        stats
    }
}

impl<V> Inner<V> {
    pub(crate) fn keys(&self, key: &str) -> Result<Keys> {
        let keys = &self.remote.keys;
        Ok(Keys { id: key.to_owned(), entry: keys.key(key, "")?, lease: keys.key(key, "load")? })
    }

    /// The tag that all entries have.
    pub(crate) fn all(&self) -> Option<String> {
        self.remote.options.clearable.then(String::new)
    }

    /// Shares with nobody who asks from now on what was asked for before.
    pub(crate) fn forget(&self, key: &str) {
        if let Some(near) = &self.near
            && let Some(id) = self.remote.keys.id(key)
        {
            near.forget(&id);
        }
        self.refreshes.forget(key);
        self.flights.forget(key);
    }

    /// Keeps nothing that has a tag.
    pub(crate) fn forget_tags(&self) {
        self.near.iter().for_each(Near::clear);
    }
}

impl<V: Send + Sync + 'static> Inner<V> {
    /// Sees to it that what other processes invalidate is heard, if anything is kept here.
    pub(crate) fn listens(self: &Arc<Self>) {
        if self.near.is_some() && !self.remote.news.is_open() && self.remote.news.begins() {
            let inner = self.clone();
            tokio::spawn(async move {
                if let Err(error) = inner.listen().await {
                    tracing::warn!(%error, "invalidations are not heard, and nothing is kept");
                }
                inner.remote.news.began();
            });
        }
    }

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

    fn renewed(&self, _tag: &str) {
        if let Some(inner) = self.0.upgrade() {
            inner.forget_tags();
        }
    }

    fn missed(&self, is_live: bool) {
        if let Some(inner) = self.0.upgrade()
            && let Some(near) = &inner.near
        {
            if is_live { near.link_up() } else { near.link_down() }
        }
    }
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
