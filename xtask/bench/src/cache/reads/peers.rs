//! Hits of others, each built as its README does.

use std::hint::black_box;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use bytes::Bytes;
use cached::{AsyncRedisCache, ConcurrentCachedAsync};
use hitbox::backend::{Backend, CacheBackend};
use hitbox::{CacheContext, CacheKey, CacheValue, EntityPolicyConfig};
use hitbox_redis::{ConnectionMode, RedisBackend};

use super::{HOUR, Record, VALUE, record};
use crate::load::Operation;

/// Gets without a loader.
pub(super) struct Cached {
    cache: Arc<AsyncRedisCache<String, Record>>,
    key: String,
}

impl Cached {
    pub(super) async fn all(url: &str, tasks: usize) -> Result<Vec<Self>> {
        let cache = AsyncRedisCache::builder("cached").ttl(HOUR).connection_string(url).build().await?;
        let cache = Arc::new(cache);
        for task in 0..tasks {
            cache.async_cache_set(task.to_string(), record(task)).await?;
        }
        Ok((0..tasks).map(|task| Self { cache: cache.clone(), key: task.to_string() }).collect())
    }
}

impl Operation for Cached {
    async fn run(&mut self) -> Result<()> {
        ensure!(black_box(self.cache.async_cache_get(&self.key).await?).is_some(), "it is there");
        Ok(())
    }
}

/// What a hit costs on the server: the value and when it is stale, and how long it is to live.
pub(super) const HITBOX: &[(&str, u64)] = &[("hmget", 1), ("pttl", 1)];

fn hitbox(url: &str) -> Result<Arc<RedisBackend>> {
    Ok(Arc::new(RedisBackend::builder().connection(ConnectionMode::single(url)).build()?))
}

/// What it keeps for an hour.
fn kept<T>(value: T) -> CacheValue<T> {
    CacheValue::from_config(value, &EntityPolicyConfig { ttl: Some(HOUR), stale_ttl: None })
}

/// The bytes as they are in the store.
pub(super) struct HitboxBytes {
    backend: Arc<RedisBackend>,
    key: CacheKey,
}

impl HitboxBytes {
    pub(super) async fn all(url: &str, tasks: usize) -> Result<Vec<Self>> {
        let backend = hitbox(url)?;
        let mut all = Vec::new();
        for task in 0..tasks {
            let key = CacheKey::from_str("bytes", &task.to_string());
            backend.write(&key, kept(Bytes::from_static(&VALUE))).await.map_err(|error| anyhow!("{error}"))?;
            all.push(Self { backend: backend.clone(), key });
        }
        Ok(all)
    }
}

impl Operation for HitboxBytes {
    async fn run(&mut self) -> Result<()> {
        let found = self.backend.read(&self.key).await.map_err(|error| anyhow!("{error}"))?.context("it is there")?;
        ensure!(black_box(found).data().len() == VALUE.len(), "another value");
        Ok(())
    }
}

/// A record in the format that it takes unless it is told otherwise.
pub(super) struct HitboxRecord {
    backend: Arc<RedisBackend>,
    key: CacheKey,
}

impl HitboxRecord {
    pub(super) async fn all(url: &str, tasks: usize) -> Result<Vec<Self>> {
        let backend = hitbox(url)?;
        let mut all = Vec::new();
        for task in 0..tasks {
            let key = CacheKey::from_str("records", &task.to_string());
            let mut context = CacheContext::default().boxed();
            backend.set::<Record>(&key, &kept(record(task)), &mut context).await.map_err(|error| anyhow!("{error}"))?;
            all.push(Self { backend: backend.clone(), key });
        }
        Ok(all)
    }
}

impl Operation for HitboxRecord {
    async fn run(&mut self) -> Result<()> {
        let mut context = CacheContext::default().boxed();
        let found = self.backend.get::<Record>(&self.key, &mut context).await.map_err(|error| anyhow!("{error}"))?;
        ensure!(black_box(found).context("it is there")?.data().price_cents == 4200, "another value");
        Ok(())
    }
}
