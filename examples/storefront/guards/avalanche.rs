//! Many products that are not there at the same time, and a database that cannot bear it.

use super::{Ground, Row, source::Source};
use anyhow::Result;
use redis_cache::{Cache, CacheOptions};
use std::time::Duration;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

const PRODUCTS: u64 = 500;

/// Asks for all products at once, and says how many requests fail.
async fn all(cache: &Cache<u64>, source: &Source) -> Result<u64> {
    let mut requests = JoinSet::new();
    for id in 0..PRODUCTS {
        let (cache, source, id) = (cache.clone(), source.clone(), id.to_string());
        requests.spawn(async move { cache.get_or_load(&id, || source.load(id.clone())).await.is_err() });
    }
    let mut failed = 0;
    while let Some(request) = requests.join_next().await {
        failed += u64::from(request?);
    }
    Ok(failed)
}

pub(super) async fn jitter(ground: &Ground) -> Result<Row> {
    let most = async |jitter| {
        let options = CacheOptions::default().ttl(Duration::from_millis(600)).early_refresh(0.0).max_loads(1000);
        let (cache, source) = ground.cache(options.ttl_jitter(jitter))?;
        all(&cache, &source).await?;
        let filled = Instant::now();
        while filled.elapsed() < Duration::from_millis(700) {
            all(&cache, &source).await?;
            sleep(Duration::from_millis(5)).await;
        }
        anyhow::Ok(source.most_within(Duration::from_millis(50), filled))
    };
    Ok(Row {
        guard: "TTL jitter",
        what: "the most loads within 50 ms, of 500 products that were cached at once and expire",
        off: most(0.0).await?,
        on: most(0.5).await?,
    })
}

pub(super) async fn load_limit(ground: &Ground) -> Result<Row> {
    let most = async |limit| {
        let (cache, source) = ground.cache(CacheOptions::default().max_loads(limit))?;
        all(&cache, &source).await?;
        anyhow::Ok(source.most_at_once())
    };
    Ok(Row {
        guard: "load limit",
        what: "the most loads at the same time, of 500 products that are not cached",
        off: most(1000).await?,
        on: most(16).await?,
    })
}

pub(super) async fn stale_if_error(ground: &Ground) -> Result<Row> {
    let failed = async |stale| {
        let options = CacheOptions::default().ttl(Duration::from_millis(100)).stale_if_error(stale);
        let (cache, source) = ground.cache(options)?;
        all(&cache, &source).await?;
        source.take_down();
        sleep(Duration::from_millis(150)).await;
        all(&cache, &source).await
    };
    Ok(Row {
        guard: "stale if error",
        what: "500 requests while the database is down, for products that have expired, that fail",
        off: failed(Duration::ZERO).await?,
        on: failed(Duration::from_secs(60)).await?,
    })
}
