//! Requests for what does not exist.

use super::{Ground, Row};
use anyhow::Result;
use redis_cache::{BloomGuard, BloomOptions, CacheOptions};
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

pub(super) async fn null_entries(ground: &Ground) -> Result<Row> {
    let loads = async |options| {
        let (cache, source) = ground.cache(options)?;
        for request in 0..400 {
            let id = format!("absent-{}", request % 10);
            cache.get_or_load(&id, || source.clone().load(id.clone())).await?;
            sleep(Duration::from_millis(1)).await;
        }
        anyhow::Ok(source.loads())
    };
    Ok(Row {
        guard: "null entries",
        what: "400 requests for 10 absent products that reach the database",
        off: loads(CacheOptions::default().negative_ttl(Duration::from_millis(1))).await?,
        on: loads(CacheOptions::default()).await?,
    })
}

pub(super) async fn bloom_filter(ground: &Ground) -> Result<Row> {
    let loads = async |options| {
        let (cache, source) = ground.cache(options)?;
        for request in 0..400 {
            let id = format!("absent-{request}");
            cache.get_or_load(&id, || source.clone().load(id.clone())).await?;
        }
        anyhow::Ok(source.loads())
    };
    let options = BloomOptions::default().prefix(ground.prefix()).capacity(1000).error_rate(0.01);
    let filter = BloomGuard::new(ground.store.clone(), "products", options)?;
    let mut products = filter.rebuild().await?;
    let ids: Vec<String> = (0..1000).map(|id| id.to_string()).collect();
    products.insert(&ids.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    products.commit().await?;
    Ok(Row {
        guard: "Bloom filter",
        what: "400 requests for 400 absent products that reach the database",
        off: loads(CacheOptions::default()).await?,
        on: loads(CacheOptions::default().guard(Arc::new(filter))).await?,
    })
}
