//! What a round trip takes when client and server have been idle: the unit of a hand-over, where both are.

use std::time::{Duration, Instant};

use anyhow::Result;
use kv_redis::RedisStore;
use kv_redis::kv_core::KvStore;
use tokio::time::sleep;

use crate::histogram::Histogram;

const PROBES: usize = 400;
const PAUSE: Duration = Duration::from_millis(1);

/// The median and the 99th of a hundred, microseconds.
#[derive(Clone, Copy, Default)]
pub(super) struct Paced {
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
}

impl Paced {
    pub(super) async fn measure(store: RedisStore) -> Result<Self> {
        tokio::spawn(async move {
            let mut trips = Histogram::default();
            for _ in 0..PROBES {
                sleep(PAUSE).await;
                let sent = Instant::now();
                store.get("paced").await?;
                trips.record(sent.elapsed());
            }
            let quantile = |share| trips.quantile_us(share).unwrap_or_default();
            Ok(Self { p50_us: quantile(0.5), p99_us: quantile(0.99) })
        })
        .await?
    }
}
