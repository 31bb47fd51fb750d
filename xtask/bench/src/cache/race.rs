//! Reads that race a change, and what is still believed a second later.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use kv_redis::RedisStore;
use redis::aio::MultiplexedConnection;
use redis::caching::CacheConfig;
use redis::{AsyncCommands, AsyncConnectionConfig, Client};
use redis_cache::{Cache, CacheOptions, Lookup, NearOptions};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::scenario::{BoxFuture, Contender, Contenders, Sample, TURN};

/// In a turn of the usual length.
const RACES: u64 = 1000;
const WAIT: Duration = Duration::from_secs(1);
/// So many race at once: a reply and the word that it is over then come in one piece at times.
const AT_ONCE: u64 = 50;

pub(super) fn contenders(url: String) -> BoxFuture<'static, Result<Contenders>> {
    Box::pin(async move {
        let mut caches = Vec::new();
        for (prefix, tracking) in [("told", false), ("tracked", true)] {
            let options = CacheOptions::default().prefix(prefix).near(NearOptions::default().tracking(tracking));
            for _ in 0..2 {
                let store = Arc::new(RedisStore::connect(&url).await?);
                caches.push(Cache::<u64>::new(store, options.clone())?);
            }
        }
        let [told, other, tracked, _] = <[_; 4]>::try_from(caches).ok().context("four")?;
        let config = AsyncConnectionConfig::new().set_cache_config(CacheConfig::new());
        let client = Client::open(format!("{url}?protocol=resp3"))?;
        let aio = client.get_multiplexed_async_connection_with_config(&config).await?;
        let foreign = client.get_multiplexed_async_connection().await?;
        let rows = [
            ("redis cache-aio, written by another connection", Kind::Aio(aio, foreign.clone())),
            ("redis-cache, near, invalidated by another", Kind::Told(told, other)),
            ("redis-cache, tracked, deleted by a foreign client", Kind::Tracked(tracked, foreign)),
        ];
        Ok(rows.into_iter().map(|(name, kind)| Box::new(Race { name, kind, runs: 0 }) as Box<dyn Contender>).collect())
    })
}

#[derive(Clone)]
enum Kind {
    Aio(MultiplexedConnection, MultiplexedConnection),
    Told(Cache<u64>, Cache<u64>),
    Tracked(Cache<u64>, MultiplexedConnection),
}

impl Kind {
    /// Reads through what keeps values.
    async fn read(&self, key: &str, row: &Arc<AtomicU64>) -> Result<u64> {
        match self {
            Self::Aio(aio, _) => Ok(aio.clone().get(key).await?),
            Self::Told(cache, _) | Self::Tracked(cache, _) => {
                let row = row.clone();
                let load = || async move { Ok::<_, io::Error>(Some(row.load(Ordering::SeqCst))) };
                Ok(*cache.get_or_load(key, load).await?.context("it is there")?)
            }
        }
    }

    /// Changes the value, and says so as one would.
    async fn change(&self, key: &str, row: &Arc<AtomicU64>) -> Result<()> {
        row.store(1, Ordering::SeqCst);
        match self {
            Self::Aio(_, foreign) => foreign.clone().set(key, 1).await?,
            Self::Told(_, other) => other.invalidate(key).await?,
            Self::Tracked(_, foreign) => {
                let keys = [format!("tracked:{{{key}}}"), format!("tracked:{{{key}}}:load")];
                foreign.clone().del::<_, ()>(&keys[..]).await?;
            }
        }
        Ok(())
    }

    /// Whether the old value is still believed, here or in the store.
    async fn is_stale(&self, key: &str) -> Result<bool> {
        match self {
            Self::Aio(aio, _) => Ok(aio.clone().get::<_, u64>(key).await? != 1),
            Self::Told(cache, other) => {
                Ok(cache.get(key).await? == Lookup::Hit(0.into()) || other.get(key).await? == Lookup::Hit(0.into()))
            }
            Self::Tracked(cache, _) => Ok(cache.get(key).await? == Lookup::Hit(0.into())),
        }
    }
}

struct Race {
    name: &'static str,
    kind: Kind,
    runs: u64,
}

impl Race {
    async fn one(kind: Kind, key: String, lag: Duration) -> Result<Duration> {
        let begun = Instant::now();
        let row = Arc::new(AtomicU64::new(0));
        if let Kind::Aio(_, foreign) = &kind {
            let () = foreign.clone().set(&key, 0).await?;
        }
        let reader = tokio::spawn({
            let (kind, key, row) = (kind.clone(), key.clone(), row.clone());
            async move { kind.read(&key, &row).await }
        });
        if !lag.is_zero() {
            let until = Instant::now() + lag;
            while Instant::now() < until {
                tokio::task::yield_now().await;
            }
        }
        kind.change(&key, &row).await?;
        reader.await??;
        Ok(begun.elapsed())
    }
}

impl Contender for Race {
    fn name(&self) -> &'static str {
        self.name
    }

    fn commands(&self) -> &'static [(&'static str, u64)] {
        &[]
    }

    fn work(&mut self, time: Duration) -> BoxFuture<'_, Result<Sample>> {
        Box::pin(async move {
            self.runs += 1;
            let key = |race: u64| format!("race-{}-{race}", self.runs);
            let mut sample = Sample::default();
            let races = ((RACES as f64 * time.div_duration_f64(TURN)) as u64).max(1);
            let started = Instant::now();
            for first in (0..races).step_by(usize::try_from(AT_ONCE)?) {
                let mut running = JoinSet::new();
                for race in first..races.min(first + AT_ONCE) {
                    // From before the read is sent to after it is answered.
                    let lag = Duration::from_micros(race % 10 * 20);
                    running.spawn(Self::one(self.kind.clone(), key(race), lag));
                }
                while let Some(raced) = running.join_next().await {
                    sample.latencies.record(raced??);
                    sample.ops += 1;
                }
            }
            sample.elapsed = started.elapsed();
            sleep(WAIT).await;
            let mut stale = 0_u64;
            for race in 0..races {
                stale += u64::from(self.kind.is_stale(&key(race)).await?);
            }
            sample.figures = vec![("stale of 1000 after 1 s", stale as f64 * 1000.0 / races as f64)];
            Ok(sample)
        })
    }
}
