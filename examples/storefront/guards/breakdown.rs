//! Many requests for one product that is not there just now.

use super::{
    Ground, Row,
    source::{LATENCY, Source},
};
use anyhow::Result;
use redis_cache::{Cache, CacheOptions, Lookup};
use std::time::Duration;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

pub(super) async fn single_flight(ground: &Ground) -> Result<Row> {
    let loads = async |shared: bool| {
        let (cache, source) = ground.cache(CacheOptions::default())?;
        let mut requests = JoinSet::new();
        for _ in 0..500 {
            requests.spawn(request(cache.clone(), source.clone(), shared));
        }
        while let Some(request) = requests.join_next().await {
            request??;
        }
        anyhow::Ok(source.loads())
    };
    Ok(Row {
        guard: "single flight",
        what: "500 requests at once for a product that is not cached, that reach the database",
        off: loads(false).await?,
        on: loads(true).await?,
    })
}

/// Reads through the cache, or as one would with a cache that only has get and set.
async fn request(cache: Cache<u64>, source: Source, shared: bool) -> Result<()> {
    if shared {
        cache.get_or_load("hot", || source.load("hot".into())).await?;
    } else if cache.get("hot").await? == Lookup::Miss {
        let value = source.load("hot".into()).await?;
        cache.insert("hot", value.as_ref()).await?;
    }
    Ok(())
}

pub(super) async fn early_refresh(ground: &Ground) -> Result<Row> {
    Ok(Row {
        guard: "early refresh",
        what: "requests in 2 s for a product that expires every 200 ms, that wait for the database",
        off: waits(ground, expiring().early_refresh(0.0)).await?,
        on: waits(ground, expiring()).await?,
    })
}

pub(super) async fn stale_while_revalidate(ground: &Ground) -> Result<Row> {
    let options = expiring().early_refresh(0.0);
    Ok(Row {
        guard: "stale while revalidate",
        what: "the same, with 100 ms in which what has expired is served meanwhile",
        off: waits(ground, options.clone()).await?,
        on: waits(ground, options.stale_while_revalidate(Duration::from_millis(100))).await?,
    })
}

fn expiring() -> CacheOptions {
    CacheOptions::default().ttl(Duration::from_millis(200)).ttl_jitter(0.0)
}

/// Of many readers.
async fn waits(ground: &Ground, options: CacheOptions) -> Result<u64> {
    let (cache, source) = ground.cache(options)?;
    cache.get_or_load("hot", || source.clone().load("hot".into())).await?;
    let (mut readers, until) = (JoinSet::new(), Instant::now() + Duration::from_secs(2));
    for _ in 0..8 {
        let (cache, source) = (cache.clone(), source.clone());
        readers.spawn(async move {
            let mut waits = 0;
            while Instant::now() < until {
                let began = Instant::now();
                cache.get_or_load("hot", || source.clone().load("hot".into())).await?;
                waits += u64::from(began.elapsed() > LATENCY / 2);
                sleep(Duration::from_millis(2)).await;
            }
            anyhow::Ok(waits)
        });
    }
    let mut waits = 0;
    while let Some(reader) = readers.join_next().await {
        waits += reader??;
    }
    Ok(waits)
}
