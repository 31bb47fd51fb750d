use std::hash::RandomState;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use quick_cache::sync::{Cache, DefaultLifecycle};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;

use super::{Asked, Value, WEIGHT, value};

/// The map alone: what is in it is there until something else wants its place.
#[derive(Clone)]
pub(super) struct Bare(Arc<Cache<Box<str>, Value, Weight, RandomState>>);

#[derive(Clone)]
pub(super) struct Weight;

impl quick_cache::Weighter<Box<str>, Value> for Weight {
    fn weight(&self, _: &Box<str>, _: &Value) -> u64 {
        WEIGHT
    }
}

impl Bare {
    pub(super) fn new(room: u64) -> Self {
        let items = usize::try_from(room / WEIGHT).unwrap_or(usize::MAX);
        Self(Arc::new(Cache::with(items, room, Weight, RandomState::new(), DefaultLifecycle::default())))
    }
}

impl Asked for Bare {
    async fn find(&self, name: &str) -> Result<bool> {
        Ok(black_box(self.0.get(name)).is_some())
    }

    async fn put(&self, name: &str) -> Result<()> {
        self.0.insert(name.into(), value());
        Ok(())
    }
}

/// The same with what it takes to end in time: a deadline beside each value, and a clock to look at.
#[derive(Clone)]
pub(super) struct Ending(Arc<Cache<Box<str>, Until, Weight, RandomState>>);

type Until = (Value, Instant);

impl quick_cache::Weighter<Box<str>, Until> for Weight {
    fn weight(&self, _: &Box<str>, _: &Until) -> u64 {
        WEIGHT
    }
}

impl Ending {
    pub(super) fn new(room: u64) -> Self {
        let items = usize::try_from(room / WEIGHT).unwrap_or(usize::MAX);
        Self(Arc::new(Cache::with(items, room, Weight, RandomState::new(), DefaultLifecycle::default())))
    }
}

impl Asked for Ending {
    async fn find(&self, name: &str) -> Result<bool> {
        Ok(black_box(self.0.get(name).filter(|(_, end)| Instant::now() < *end)).is_some())
    }

    async fn put(&self, name: &str) -> Result<()> {
        self.0.insert(name.into(), (value(), Instant::now() + super::HOUR));
        Ok(())
    }
}

#[derive(Clone)]
pub(super) struct Moka(moka::future::Cache<Box<str>, Value>);

impl Moka {
    pub(super) fn new(room: u64) -> Self {
        let weigh = |_: &_, _: &_| u32::try_from(WEIGHT).unwrap_or(u32::MAX);
        Self(moka::future::Cache::builder().max_capacity(room).weigher(weigh).time_to_live(super::HOUR).build())
    }
}

impl Asked for Moka {
    async fn find(&self, name: &str) -> Result<bool> {
        Ok(black_box(self.0.get(name).await).is_some())
    }

    async fn put(&self, name: &str) -> Result<()> {
        self.0.insert(name.into(), value()).await;
        Ok(())
    }
}

/// A connection that remembers what it read: bytes, not values.
#[derive(Clone)]
pub(super) struct Aio(pub(super) MultiplexedConnection);

impl Asked for Aio {
    async fn find(&self, name: &str) -> Result<bool> {
        let value: Option<Vec<u8>> = self.0.clone().get(name).await?;
        Ok(black_box(value).is_some())
    }

    async fn put(&self, name: &str) -> Result<()> {
        Ok(self.0.clone().set(name, value().as_slice()).await?)
    }
}

#[derive(Clone)]
pub(super) struct Foyer(foyer::Cache<Box<str>, Value>);

impl Foyer {
    pub(super) fn new(room: u64) -> Self {
        let weigh = |_: &_, _: &_| usize::try_from(WEIGHT).unwrap_or(usize::MAX);
        Self(foyer::CacheBuilder::new(usize::try_from(room).unwrap_or(usize::MAX)).with_weighter(weigh).build())
    }
}

impl Asked for Foyer {
    async fn find(&self, name: &str) -> Result<bool> {
        Ok(black_box(self.0.get(name)).is_some())
    }

    async fn put(&self, name: &str) -> Result<()> {
        self.0.insert(name.into(), value());
        Ok(())
    }
}

/// Counts entries, not what they weigh.
#[derive(Clone)]
pub(super) struct Cached(Arc<cached::ShardedLruTtlCache<Box<str>, Value>>);

impl Cached {
    pub(super) fn new(room: u64) -> Self {
        let items = usize::try_from(room / WEIGHT).unwrap_or(usize::MAX);
        Self(Arc::new(cached::ShardedLruTtlCache::new(items, super::HOUR)))
    }
}

impl Asked for Cached {
    async fn find(&self, name: &str) -> Result<bool> {
        Ok(black_box(self.0.get(name)).is_some())
    }

    async fn put(&self, name: &str) -> Result<()> {
        cached::ConcurrentCached::cache_set(&*self.0, name.into(), value())?;
        Ok(())
    }
}
