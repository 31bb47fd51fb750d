use crate::{
    CacheOptions, CacheStats,
    away::Patience,
    clock::ServerClock,
    flight::Flights,
    hot::{HotKey, HotKeys},
    kept::Kept,
    lease::Keys,
    near::{Near, Teller},
    news::{Newsroom, Reader},
    permits::Permits,
    refresh::Refreshes,
    remote::Remote,
    stats::Counters,
    tracked::{AGAIN, Tracked},
    version::Versions,
};
use kv_core::{Codec, ErrorKind, Keyspace, KvStore, KvStoreExt, Result};
use std::{
    fmt,
    sync::{Arc, Weak},
};
use tokio::time::sleep;

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
    pub(crate) hot: Option<HotKeys>,
    pub(crate) tracked: Tracked,
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
    /// [`Unsupported`](kv_core::ErrorKind::Unsupported) for a store without scripts, or without
    /// [`Tracking`](kv_core::Tracking) if the options ask for it. No round trip.
    pub fn with_codec(store: Arc<dyn KvStore>, codec: impl Codec<V> + 'static, options: CacheOptions) -> Result<Self> {
        options.check()?;
        store.require_scripts("cache")?;
        let keys = Keyspace::new(&options.prefix)?;
        let permits = Permits::new(&options);
        let near = options.near.clone().map(Near::new);
        let hot = options.hot_keys.clone().map(HotKeys::new);
        // Until it is heard what others change.
        if let Some(near) = &near {
            near.link_down(Teller::Caches);
            if near.tracks() {
                store.require_tracking("cache")?;
                near.link_down(Teller::Store);
            }
        }
        let remote = Remote {
            store,
            codec: Box::new(codec),
            keys,
            news: Newsroom::new(&options.prefix),
            patience: Patience::new(&options)?,
            counters: Counters::new(&options.prefix),
            options,
            clock: ServerClock::default(),
            versions: Versions::default(),
        };
        let (flights, refreshes, tracked) = (Flights::default(), Refreshes::default(), Tracked::default());
        Ok(Self {
            inner: Arc::new(Inner { remote: Arc::new(remote), flights, refreshes, permits, near, hot, tracked }),
        })
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

    /// The keys that this process reads most, the hottest first; none without [`hot_keys`](CacheOptions::hot_keys). No round trip.
    #[doc(alias = "top-k")]
    pub fn hot_keys(&self) -> Vec<HotKey> {
        self.inner.hot.as_ref().map(HotKeys::list).unwrap_or_default()
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
    /// Sees to it that what others change is heard, if anything is kept here.
    pub(crate) fn listens(self: &Arc<Self>) {
        let Some(near) = &self.near else { return };
        let news = &self.remote.news;
        if (!news.is_open() || (near.tracks() && !self.tracked.is_open())) && news.begins() {
            let inner = Arc::downgrade(self);
            tokio::spawn(async move {
                let begun = match inner.upgrade() {
                    Some(inner) => inner.hears().await,
                    None => return,
                };
                if let Err(error) = begun {
                    tracing::warn!(%error, "invalidations are not heard, and nothing is kept");
                    if error.kind() == ErrorKind::Unsupported {
                        return;
                    }
                    sleep(AGAIN).await;
                }
                if let Some(inner) = inner.upgrade() {
                    inner.remote.news.began();
                }
            });
        }
    }

    async fn hears(self: &Arc<Self>) -> Result<()> {
        self.listen().await?;
        if self.near.as_ref().is_some_and(Near::tracks) && !self.tracked.is_open() {
            self.track().await?;
        }
        Ok(())
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
            if is_live { near.link_up(Teller::Caches) } else { near.link_down(Teller::Caches) }
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
