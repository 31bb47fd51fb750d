//! Very many keys that expire at the same time.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use kv_redis::RedisStore;
use redis_cache::{Cache, CacheOptions};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::scenario::{BoxFuture, Contender, Contenders, Sample};

const KEYS: u64 = 100_000;
const TTL: Duration = Duration::from_secs(2);
const LOAD: Duration = Duration::from_millis(5);
const LIMIT: usize = 32;
const READERS: u64 = 64;
const WRITERS: u64 = 128;

pub(super) fn contenders(url: String) -> BoxFuture<'static, Result<Contenders>> {
    Box::pin(async move {
        let options = CacheOptions::default().ttl(TTL).ttl_jitter(0.0).early_refresh(0.0);
        let rows = [
            ("floor: no limit", options.clone().max_loads(KEYS as usize)),
            ("redis-cache, 32 loads", options.clone().max_loads(LIMIT)),
            ("redis-cache, 32 loads, stale meanwhile", options.max_loads(LIMIT).stale_while_revalidate(TTL * 12)),
        ];
        let store = Arc::new(RedisStore::connect(&url).await?);
        let mut contenders = Contenders::new();
        for (name, options) in rows {
            let cache = Cache::new(store.clone(), options.prefix(name.replace([' ', ','], "-")))?;
            contenders.push(Box::new(Avalanche { name, cache, database: Arc::default() }));
        }
        Ok(contenders)
    })
}

#[derive(Default)]
struct Database {
    running: AtomicU64,
    most: AtomicU64,
    loads: AtomicU64,
}

impl Database {
    async fn load(self: Arc<Self>) -> io::Result<Option<u64>> {
        self.most.fetch_max(self.running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        self.loads.fetch_add(1, Ordering::Relaxed);
        sleep(LOAD).await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        Ok(Some(7))
    }
}

struct Avalanche {
    name: &'static str,
    cache: Cache<u64>,
    database: Arc<Database>,
}

impl Avalanche {
    /// Writes all keys, and waits until they have expired.
    async fn fill(&self) -> Result<()> {
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let cache = self.cache.clone();
            writers.spawn(async move {
                for key in (writer..KEYS).step_by(WRITERS as usize) {
                    ensure!(cache.insert(&key.to_string(), Some(&7)).await?, "not put in");
                }
                anyhow::Ok(())
            });
        }
        while let Some(writer) = writers.join_next().await {
            writer??;
        }
        sleep(TTL).await;
        Ok(())
    }
}

impl Contender for Avalanche {
    fn name(&self) -> &'static str {
        self.name
    }

    fn commands(&self) -> &'static [(&'static str, u64)] {
        &[]
    }

    fn enter(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            self.fill().await?;
            self.database = Arc::default();
            Ok(())
        })
    }

    fn work(&mut self, time: Duration) -> BoxFuture<'_, Result<Sample>> {
        Box::pin(async move {
            let (begun, before, mut readers) = (Instant::now(), self.cache.stats().hits, JoinSet::new());
            for _ in 0..READERS {
                let (cache, database) = (self.cache.clone(), self.database.clone());
                readers.spawn(async move {
                    let mut sample = Sample::default();
                    while begun.elapsed() < time {
                        let (key, asked) = ((rand::random::<u64>() % KEYS).to_string(), Instant::now());
                        let value = cache.get_or_load(&key, || database.clone().load()).await?;
                        ensure!(value.is_some(), "it is there");
                        sample.latencies.record(asked.elapsed());
                        sample.ops += 1;
                    }
                    anyhow::Ok(sample)
                });
            }
            let mut total = Sample::default();
            while let Some(reader) = readers.join_next().await {
                let sample = reader??;
                total.ops += sample.ops;
                total.latencies.merge(&sample.latencies);
            }
            total.elapsed = begun.elapsed();
            let hits = self.cache.stats().hits - before;
            let most = self.database.most.load(Ordering::SeqCst);
            total.figures = vec![
                ("most loads at once", most as f64),
                ("gets of 100 that miss", 100.0 - hits as f64 * 100.0 / total.ops as f64),
            ];
            Ok(total)
        })
    }
}
