use anyhow::Result;
use kv_core::KvStore;
use kv_redis::{RedisOptions, RedisStore};
use std::{sync::Arc, time::Duration};

/// The database: numbers that only grow, on a server that nobody disturbs.
#[derive(Clone)]
pub(crate) struct Rows(Arc<RedisStore>);

impl Rows {
    pub(crate) async fn open(url: &str) -> Result<Self> {
        let patient = RedisOptions::default().deadline(Duration::from_secs(10));
        Ok(Self(Arc::new(RedisStore::connect_with(url, patient).await?)))
    }

    pub(crate) async fn read(&self, key: u8) -> kv_core::Result<u64> {
        let row = self.0.get(&format!("row:{key}")).await?;
        Ok(row.and_then(|row| std::str::from_utf8(&row).ok()?.parse().ok()).unwrap_or_default())
    }

    pub(crate) async fn write(&self, key: u8) -> kv_core::Result<u64> {
        Ok(self.0.incr_by(&format!("row:{key}"), 1).await?.unsigned_abs())
    }
}
