use crate::{
    CacheError, CacheOptions, CacheStats,
    flight::Flights,
    load::Loading,
    remote::{Lookup, Remote},
    stats::Counters,
};
use kv_core::{Codec, Keyspace, KvStore, KvStoreExt, Result};
use std::{error::Error as StdError, fmt, sync::Arc};

/// A read-through cache of one type of value. Clones share everything.
pub struct Cache<V> {
    inner: Arc<Inner<V>>,
}

struct Inner<V> {
    remote: Remote<V>,
    flights: Flights<V>,
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
        let remote = Remote { store, codec: Box::new(codec), keys, options, counters: Counters::default() };
        Ok(Self { inner: Arc::new(Inner { remote, flights: Flights::default() }) })
    }

    /// What the cache did since it was built.
    pub fn stats(&self) -> CacheStats {
        self.inner.remote.counters.snapshot()
    }

    /// What the store knows of a key; loads nothing. One round trip.
    ///
    /// A value that does not decode is a miss.
    pub async fn get(&self, key: &str) -> Result<Lookup<V>, CacheError> {
        let key = self.inner.remote.keys.key(key, "")?;
        let found = self.inner.remote.lookup(&key).await?.unwrap_or(Lookup::Miss);
        if let Lookup::Miss = found {
            self.inner.remote.counters.misses.count();
        }
        Ok(found)
    }

    /// Forgets a key: whoever asks after this gets what a loader brings that began after this was called.
    ///
    /// Call it after the database is changed. A load under way goes on for those who wait for it already; what it brings is not stored.
    /// One round trip. If it fails or is dropped, the old value may stay: call it again.
    #[doc(alias = "remove")]
    #[doc(alias = "evict")]
    pub async fn invalidate(&self, key: &str) -> Result<(), CacheError> {
        let (value, load) = (self.inner.remote.keys.key(key, "")?, self.inner.remote.keys.key(key, "load")?);
        self.inner.flights.forget(&value);
        self.inner.remote.store.delete(&[&value, &load]).await?;
        Ok(())
    }
}

impl<V: Send + Sync + 'static> Cache<V> {
    /// The value of a key from the store, or else from the loader, which runs once for all who ask in this process.
    ///
    /// The loader is called when a load begins, and the future it returns is polled once the load may store.
    ///
    /// `None` is cached too, for [`negative_ttl`](CacheOptions::negative_ttl). The load runs in a task of its own: it goes on, and is
    /// stored, when the caller is dropped. Its error, panic or time-out reaches all who wait, and nothing is stored.
    /// While the store is away the loader answers; other errors of the store are [`CacheError::Store`].
    ///
    /// One round trip on a hit; on a miss one before and one after the load as well. Needs a tokio runtime.
    #[doc(alias = "get_or_set")]
    #[doc(alias = "fetch")]
    #[doc(alias = "try_get_with")]
    pub async fn get_or_load<F, Fut, E>(&self, key: &str, loader: F) -> Result<Option<Arc<V>>, CacheError>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Option<V>, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let inner = &self.inner;
        let id = inner.remote.keys.key(key, "")?;
        if let Some(passenger) = inner.flights.join(&id) {
            inner.remote.counters.joined.count();
            return passenger.outcome().await;
        }
        let replace = match inner.remote.lookup(&id).await {
            Ok(Some(Lookup::Hit(value))) => return Ok(Some(value)),
            Ok(Some(Lookup::Null)) => return Ok(None),
            Ok(Some(Lookup::Miss)) => false,
            Ok(None) => true,
            Err(error) if error.is_temporary() => false,
            Err(error) => return Err(error.into()),
        };
        let load_key = inner.remote.keys.key(key, "load")?;
        let (passenger, pilot) = inner.flights.join_or_begin(&id);
        match pilot {
            None => inner.remote.counters.joined.count(),
            Some(pilot) => {
                let (inner, loader) = (inner.clone(), loader());
                let loading: Loading<V> = Box::pin(async { loader.await.map_err(Into::into) });
                tokio::spawn(async move { pilot.land(inner.remote.load(&id, &load_key, replace, loading).await) });
            }
        }
        passenger.outcome().await
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
            .finish_non_exhaustive()
    }
}
