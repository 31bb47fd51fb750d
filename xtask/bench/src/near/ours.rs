//! The cache itself, which reads what it keeps.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use kv_redis::RedisStore;
use kv_redis::kv_core::Raw;
use redis_cache::{Cache, CacheOptions, Lookup, NearOptions};

use super::{Asked, HOUR, value};

#[derive(Clone)]
pub(super) struct Ours(Cache<Bytes>);

impl Ours {
    /// One that hears of changes from other caches, or from the store as well.
    pub(super) async fn connect(url: &str, tracking: bool) -> Result<Self> {
        let store = Arc::new(RedisStore::connect(url).await?);
        let near = NearOptions::default().max_age(HOUR).tracking(tracking);
        let prefix = if tracking { "tracked" } else { "told" };
        Ok(Self(Cache::with_codec(store, Raw, CacheOptions::default().prefix(prefix).ttl(HOUR * 2).near(near))?))
    }
}

impl Asked for Ours {
    async fn find(&self, name: &str) -> Result<bool> {
        Ok(matches!(black_box(self.0.get(name).await?), Lookup::Hit(_)))
    }

    /// Until it is kept, which takes a link.
    async fn put(&self, name: &str) -> Result<()> {
        self.0.insert(name, Some(&Bytes::copy_from_slice(&value()[..]))).await?;
        let (begun, before) = (Instant::now(), self.0.stats().near_hits);
        while self.0.stats().near_hits == before {
            ensure!(self.find(name).await? && begun.elapsed() < Duration::from_secs(5), "not kept");
        }
        Ok(())
    }
}
