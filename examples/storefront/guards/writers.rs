//! Those who buy, those who ask too often, and what is written.

use super::{Ground, Row};
use crate::product::Product;
use anyhow::Result;
use kv_core::Transform;
use redis_lock::{LockManager, LockOptions};
use redis_ratelimit::{Decision, Quota, RateLimitOptions, RateLimiter};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{task::JoinSet, time::sleep};

pub(super) async fn fenced_lock(ground: &Ground) -> Result<Row> {
    let sold = async |locked: bool| {
        let locks = LockManager::new(ground.store.clone(), LockOptions::default().prefix(ground.prefix()))?;
        let (stock, mut buyers) = (Arc::new(AtomicU64::new(20)), JoinSet::new());
        for _ in 0..50 {
            let (locks, stock) = (locks.clone(), stock.clone());
            buyers.spawn(async move {
                let guard = if locked { Some(locks.acquire("stock", Duration::from_secs(10)).await?) } else { None };
                let left = stock.load(SeqCst);
                // The database is asked, and told: somebody else may have been there in between.
                sleep(Duration::from_millis(2)).await;
                let sold = left > 0;
                stock.store(left.saturating_sub(1), SeqCst);
                if let Some(guard) = guard {
                    guard.release().await?;
                }
                anyhow::Ok(u64::from(sold))
            });
        }
        let mut sold = 0;
        while let Some(buyer) = buyers.join_next().await {
            sold += buyer??;
        }
        anyhow::Ok(sold)
    };
    Ok(Row {
        guard: "fenced lock",
        what: "units sold to 50 buyers at once, of 20 there are",
        off: sold(false).await?,
        on: sold(true).await?,
    })
}

pub(super) async fn rate_limit(ground: &Ground) -> Result<Row> {
    let options = RateLimitOptions::default().prefix(ground.prefix());
    let limiter = RateLimiter::new(ground.store.clone(), Quota::per_minute(60).burst(20), options)?;
    let mut served = 0;
    for _ in 0..500 {
        served += u64::from(matches!(limiter.check("scraper").await?, Decision::Allowed { .. }));
    }
    Ok(Row { guard: "rate limit", what: "500 requests of a scraper that are served", off: 500, on: served })
}

pub(super) fn compression() -> Result<Row> {
    let compressor = crate::compression()?;
    let (mut off, mut on) = (0, 0);
    for id in 0..100 {
        let plain = serde_json::to_vec(&Product::new(id, 1, 10))?;
        let stored = compressor.apply(&plain)?;
        off += plain.len() as u64;
        on += stored.map_or(plain.len(), |stored| stored.len()) as u64;
    }
    Ok(Row { guard: "compression", what: "bytes stored for 100 products", off, on })
}
