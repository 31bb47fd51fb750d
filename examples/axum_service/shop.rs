//! Products, from a cache or from a slow database.

use crate::guards::Guards;
use kv_core::KvStore;
use redis_cache::{Cache, CacheOptions};
use redis_compress::{CompressOptions, Compressor};
use serde_json::json;
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Short, so that there are loads to see.
const TTL: Duration = Duration::from_secs(2);

/// What a product takes the database.
const LOAD: Duration = Duration::from_millis(15);

/// There are so many.
const PRODUCTS: u32 = 100;

pub(crate) struct Shop {
    cache: Cache<String>,
    guards: Arc<Guards>,
    loads: Arc<AtomicU64>,
}

impl Shop {
    pub(crate) fn new(store: Arc<dyn KvStore>, guards: Arc<Guards>, prefix: &str) -> kv_core::Result<Self> {
        let smaller = Arc::new(Compressor::new(CompressOptions::default().threshold(256))?);
        let options = CacheOptions::default().prefix(prefix).ttl(TTL).negative_ttl(TTL).transform(smaller);
        Ok(Self { cache: Cache::new(store, options)?, guards, loads: Arc::default() })
    }

    /// The page of a product; `None` where there is none of this id.
    pub(crate) async fn product(&self, id: u32) -> Result<Option<Arc<String>>, redis_cache::CacheError> {
        let loads = self.loads.clone();
        if !self.guards.cache() {
            return Ok(load(id, &loads).await.map(Arc::new));
        }
        self.cache.get_or_load(&id.to_string(), move || async move { Ok::<_, io::Error>(load(id, &loads).await) }).await
    }

    /// How often the database was asked.
    pub(crate) fn loads(&self) -> u64 {
        self.loads.load(Ordering::Relaxed)
    }

    /// How often it was not, because the cache knew or somebody else was asking.
    pub(crate) fn hits(&self) -> u64 {
        let stats = self.cache.stats();
        stats.near_hits + stats.hits + stats.joined
    }
}

async fn load(id: u32, loads: &AtomicU64) -> Option<String> {
    loads.fetch_add(1, Ordering::Relaxed);
    tokio::time::sleep(LOAD).await;
    let reviews: Vec<_> = (0..8).map(|at| json!({"by": format!("reader-{at}"), "stars": (id + at) % 5 + 1})).collect();
    (id < PRODUCTS).then(|| json!({"id": id, "name": format!("kettle no. {id}"), "reviews": reviews}).to_string())
}
