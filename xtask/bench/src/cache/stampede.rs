//! All at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cached::{AsyncRedisCache, ConcurrentCachedAsync};
use kv_redis::RedisStore;
use redis_cache::{Cache, CacheOptions};
use tokio::task::JoinSet;

use crate::scenario::{BoxFuture, Contender, Contenders, Sample};

const GETS: usize = 2000;
pub(super) const LOAD: Duration = Duration::from_millis(50);

pub(super) fn contenders(url: String) -> BoxFuture<'static, Result<Contenders>> {
    Box::pin(async move {
        let moka = Reader::Moka(moka::future::Cache::new(10_000));
        let foyer = Reader::Foyer(foyer::CacheBuilder::new(10_000).build());
        let mut crowds =
            vec![("moka, which knows one process", vec![moka]), ("foyer, which knows one process", vec![foyer])];
        for (name, processes) in
            [("redis-cache", 1), ("redis-cache, 4 connections", 4), ("redis-cache, 8 connections", 8)]
        {
            let mut readers = Vec::new();
            for _ in 0..processes {
                let store = Arc::new(RedisStore::connect(&url).await?);
                readers.push(Reader::Ours(Cache::new(store, CacheOptions::default().prefix(name.replace(' ', "-")))?));
            }
            crowds.push((name, readers));
        }
        Ok(crowds.into_iter().map(|(name, readers)| Stampede::boxed(name, readers)).collect())
    })
}

/// A cache as one process has it.
#[derive(Clone)]
pub(super) enum Reader {
    Ours(Cache<String>),
    Moka(moka::future::Cache<String, String>),
    Foyer(foyer::Cache<String, String>),
    Cached(Arc<AsyncRedisCache<String, String>>),
}

impl Reader {
    /// By name, as a process of its own has it.
    pub(super) async fn of(kind: &str, url: &str) -> Result<Self> {
        Ok(match kind {
            "moka" => Self::Moka(moka::future::Cache::new(10_000)),
            "cached" => {
                let cache = AsyncRedisCache::builder("cached").ttl(LOAD * 1000).connection_string(url).build().await?;
                Self::Cached(Arc::new(cache))
            }
            _ => Self::Ours(Cache::new(Arc::new(RedisStore::connect(url).await?), CacheOptions::default())?),
        })
    }

    /// A value that takes so long to load.
    pub(super) async fn get(&self, key: String, load: Duration, loads: &Arc<AtomicU64>) -> Result<String> {
        let loads = loads.clone();
        let load = async move {
            loads.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(load).await;
            "loaded".to_owned()
        };
        Ok(match self {
            Self::Ours(cache) => {
                let value = cache.get_or_load(&key, || async { Ok::<_, io::Error>(Some(load.await)) }).await?;
                value.context("it is there")?.as_str().to_owned()
            }
            Self::Moka(cache) => cache.get_with(key, load).await,
            Self::Foyer(cache) => {
                cache.get_or_fetch(&key, || async { Ok::<_, io::Error>(load.await) }).await?.value().clone()
            }
            Self::Cached(cache) => match cache.async_cache_get(&key).await? {
                Some(value) => value,
                None => {
                    let value = load.await;
                    cache.async_cache_set(key, value.clone()).await?;
                    value
                }
            },
        })
    }
}

struct Stampede {
    name: &'static str,
    readers: Vec<Reader>,
    runs: u64,
}

impl Stampede {
    fn boxed(name: &'static str, readers: Vec<Reader>) -> Box<dyn Contender> {
        Box::new(Self { name, readers, runs: 0 })
    }

    async fn run(&mut self, loads: &Arc<AtomicU64>) -> Result<Duration> {
        self.runs += 1;
        let (mut gets, began) = (JoinSet::new(), Instant::now());
        for get in 0..GETS {
            let (reader, key) = (self.readers[get % self.readers.len()].clone(), format!("key-{}", self.runs));
            let loads = loads.clone();
            gets.spawn(async move { reader.get(key, LOAD, &loads).await });
        }
        while let Some(got) = gets.join_next().await {
            ensure!(got?? == "loaded", "another value");
        }
        Ok(began.elapsed())
    }
}

impl Contender for Stampede {
    fn name(&self) -> &'static str {
        self.name
    }

    fn commands(&self) -> &'static [(&'static str, u64)] {
        &[]
    }

    fn work(&mut self, time: Duration) -> BoxFuture<'_, Result<Sample>> {
        Box::pin(async move {
            let (loads, mut behind) = (Arc::new(AtomicU64::new(0)), Duration::ZERO);
            let (mut sample, began) = (Sample::default(), Instant::now());
            while began.elapsed() < time {
                let took = self.run(&loads).await?;
                sample.latencies.record(took);
                behind += took.saturating_sub(LOAD);
                sample.ops += 1;
            }
            sample.elapsed = began.elapsed();
            let each = 1.0 / sample.ops as f64;
            sample.figures = vec![
                ("loads", loads.load(Ordering::Relaxed) as f64 * each),
                ("last, ms after the load", behind.as_secs_f64() * 1e3 * each),
            ];
            Ok(sample)
        })
    }
}
