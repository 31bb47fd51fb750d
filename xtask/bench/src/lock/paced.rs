//! What a round trip takes when client and server have been idle for as long as between two hand-overs, whose unit it is.

use std::time::{Duration, Instant};

use anyhow::Result;
use kv_redis::RedisStore;
use kv_redis::kv_core::KvStore;
use tokio::time::sleep;

use crate::histogram::Histogram;

/// So many of them, but no longer than this for those that need a long pause.
const PROBES: usize = 300;
const LONG_ENOUGH: Duration = Duration::from_millis(600);
/// tokio's timer has no shorter steps, and beyond the longest nothing gets slower.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(10);

/// The median and the 99th of a hundred, microseconds.
#[derive(Clone, Copy, Default)]
pub(super) struct Paced {
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
}

impl Paced {
    pub(super) async fn measure(store: RedisStore, pause: Duration) -> Result<Self> {
        let pause = pause.clamp(SHORTEST, LONGEST);
        tokio::spawn(async move {
            let mut trips = Histogram::default();
            let begun = Instant::now();
            for _ in 0..PROBES {
                if begun.elapsed() > LONG_ENOUGH {
                    break;
                }
                sleep(pause).await;
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
