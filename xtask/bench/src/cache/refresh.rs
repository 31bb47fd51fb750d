//! A hot key that expires again and again.

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

const TTL: Duration = Duration::from_secs(1);
const LOAD: Duration = Duration::from_millis(20);
/// Each asks a hundred times a second.
const READERS: usize = 10;
const PAUSE: Duration = Duration::from_millis(10);

pub(super) fn contenders(url: String) -> BoxFuture<'static, Result<Contenders>> {
    Box::pin(async move {
        let options = CacheOptions::default().ttl(TTL).ttl_jitter(0.0);
        let rows = [
            ("floor: loads when it has expired", options.clone().early_refresh(0.0), 1),
            ("redis-cache, early refresh", options.clone(), 1),
            ("redis-cache, early refresh, 4 connections", options.clone(), 4),
            ("redis-cache, stale while revalidate", options.stale_while_revalidate(TTL).early_refresh(0.0), 1),
        ];
        let mut contenders = Vec::new();
        for (name, options, connections) in rows {
            let mut caches = Vec::new();
            for _ in 0..connections {
                let store = Arc::new(RedisStore::connect(&url).await?);
                caches.push(Cache::new(store, options.clone().prefix(name.replace([' ', ','], "-")))?);
            }
            contenders.push(Refreshing { name, caches });
        }
        Ok(contenders.into_iter().map(|contender| Box::new(contender) as Box<dyn Contender>).collect())
    })
}

struct Refreshing {
    name: &'static str,
    caches: Vec<Cache<String>>,
}

async fn get(cache: &Cache<String>, loads: &Arc<AtomicU64>) -> Result<()> {
    let loads = loads.clone();
    let load = || async move {
        loads.fetch_add(1, Ordering::Relaxed);
        sleep(LOAD).await;
        Ok::<_, io::Error>(Some("loaded".to_owned()))
    };
    ensure!(cache.get_or_load("hot", load).await?.is_some(), "it is there");
    Ok(())
}

impl Contender for Refreshing {
    fn name(&self) -> &'static str {
        self.name
    }

    fn commands(&self) -> &'static [(&'static str, u64)] {
        &[]
    }

    fn work(&mut self, time: Duration) -> BoxFuture<'_, Result<Sample>> {
        Box::pin(async move {
            let (loads, mut readers) = (Arc::new(AtomicU64::new(0)), JoinSet::new());
            get(&self.caches[0], &Arc::default()).await?;
            let begun = Instant::now();
            for reader in 0..READERS {
                let (cache, loads) = (self.caches[reader % self.caches.len()].clone(), loads.clone());
                readers.spawn(async move {
                    let (mut sample, mut waits) = (Sample::default(), 0_u64);
                    sleep(PAUSE * u32::try_from(reader)? / READERS as u32).await;
                    while begun.elapsed() < time {
                        let asked = Instant::now();
                        get(&cache, &loads).await?;
                        sample.latencies.record(asked.elapsed());
                        waits += u64::from(asked.elapsed() > LOAD / 2);
                        sample.ops += 1;
                        sleep(PAUSE.saturating_sub(asked.elapsed())).await;
                    }
                    anyhow::Ok((sample, waits))
                });
            }
            let (mut total, mut waited) = (Sample::default(), 0);
            while let Some(reader) = readers.join_next().await {
                let (sample, waits) = reader??;
                total.ops += sample.ops;
                total.latencies.merge(&sample.latencies);
                waited += waits;
            }
            total.elapsed = begun.elapsed();
            let lives = total.elapsed.as_secs_f64() / TTL.as_secs_f64();
            total.figures = vec![
                ("loads per TTL", loads.load(Ordering::Relaxed) as f64 / lives),
                ("gets per TTL that wait", waited as f64 / lives),
            ];
            Ok(total)
        })
    }
}
