use crate::{Cache, CacheError, batch::load_many, load::Loading, tags::Tags};
use kv_core::Error;
use std::{collections::HashMap, error::Error as StdError, sync::Arc};

/// A cache whose entries get tags; see [`Cache::tagged`].
#[derive(Clone, Debug)]
pub struct Tagged<V> {
    cache: Cache<V>,
    tags: Arc<[String]>,
}

impl<V> Cache<V> {
    /// The cache, with tags for what is loaded or inserted through it, so that [`invalidate_tag`](Self::invalidate_tag) forgets it.
    ///
    /// A tag has from 1 to 247 bytes, an entry up to 250 tags; else an error. No round trip.
    ///
    /// A tag has a generation, which is random. An entry carries those that its tags had before its load began, and is a miss once
    /// one of them is another, or lost: an invalidation is one write however many entries there are, and none escapes that was
    /// being loaded. A read of a tagged entry costs a second round trip, for the generations; a load one more before it.
    pub fn tagged(&self, tags: &[&str]) -> Result<Tagged<V>, CacheError> {
        Tags::check(tags)?;
        Ok(Tagged {
            cache: self.clone(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).chain(self.inner.all()).collect(),
        })
    }

    /// Forgets all entries with a tag, however many, and the loads of such that are under way. One round trip.
    ///
    /// If it fails or is dropped, they may stay: call it again.
    pub async fn invalidate_tag(&self, tag: &str) -> Result<(), CacheError> {
        Tags::check(&[tag])?;
        self.renew(tag).await
    }

    /// Forgets all entries of the cache, however many. One round trip.
    ///
    /// [`InvalidConfig`](kv_core::ErrorKind::InvalidConfig) unless it is [`clearable`](crate::CacheOptions::clearable).
    #[doc(alias = "invalidate_all")]
    #[doc(alias = "flush")]
    pub async fn clear(&self) -> Result<(), CacheError> {
        if !self.inner.remote.options.clearable {
            return Err(Error::invalid_config("clear", "the cache is not clearable").into());
        }
        self.renew("").await
    }

    async fn renew(&self, tag: &str) -> Result<(), CacheError> {
        self.inner.forget_tags();
        self.inner.remote.renew(tag).await?;
        self.inner.forget_tags();
        Ok(())
    }
}

impl<V> Tagged<V> {
    /// As [`Cache::insert`], with the tags.
    pub async fn insert(&self, key: &str, value: Option<&V>) -> Result<bool, CacheError> {
        self.cache.inner.insert(key, value, &self.tags).await
    }
}

impl<V: Send + Sync + 'static> Tagged<V> {
    /// As [`Cache::get_or_load`], with the tags for what the loader brings.
    pub async fn get_or_load<F, Fut, E>(&self, key: &str, loader: F) -> Result<Option<Arc<V>>, CacheError>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Option<V>, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let loader = || -> Loading<V> {
            let loading = loader();
            Box::pin(async { loading.await.map_err(CacheError::of_loader) })
        };
        self.cache.inner.read(key, &self.tags, loader).await
    }
    /// As [`Cache::get_many_or_load`], with the tags for all that the loader brings.
    pub async fn get_many_or_load<F, Fut, E>(&self, keys: &[&str], loader: F) -> Result<Vec<Option<Arc<V>>>, CacheError>
    where
        F: Fn(Vec<String>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<HashMap<String, V>, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        self.cache.inner.read_many(keys, &self.tags, &load_many(loader)).await
    }
}
