use crate::punctual::Control;
use kv_core::{KvStore, SetOptions};
use kv_redis::RedisStore;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How long it took until the store wrote everywhere again, after each fault.
#[derive(Debug, Default)]
pub(crate) struct Recoveries {
    times: Vec<Duration>,
    breaches: Vec<String>,
}

const PAUSE: Duration = Duration::from_millis(5);

impl Recoveries {
    /// Writes each of these keys until that works, for a while; returns the longest.
    pub(crate) async fn measure(store: &RedisStore, keys: &[String], since: Instant, limit: Duration) -> Duration {
        for key in keys {
            while store.set(key, b"1", SetOptions::default()).await.is_err() && since.elapsed() < limit * 4 {
                sleep(PAUSE).await;
            }
        }
        since.elapsed()
    }

    pub(crate) fn add(&mut self, fault: &str, since: Instant, took: Duration, limit: Duration, control: &Control) {
        self.times.push(took);
        let allowed = limit + control.lost(since, since + took);
        if took > allowed {
            self.breaches.push(format!("{fault}: no success for {took:.0?}"));
        }
    }

    pub(crate) fn breaches(&self) -> &[String] {
        &self.breaches
    }

    /// The median and the worst.
    pub(crate) fn summary(&self) -> (Duration, Duration) {
        let mut times = self.times.clone();
        times.sort_unstable();
        let at = |at: usize| times.get(at).copied().unwrap_or_default();
        (at(times.len() / 2), times.last().copied().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_stays_down_is_found() {
        let (mut recoveries, now) = (Recoveries::default(), Instant::now());
        let second = Duration::from_secs(1);
        for took in [3, 700, 1_001, 20] {
            recoveries.add("cut", now, Duration::from_millis(took), second, &Control::default());
        }
        assert_eq!(recoveries.breaches(), ["cut: no success for 1s"]);
        assert_eq!(recoveries.summary(), (Duration::from_millis(700), Duration::from_millis(1_001)));
    }
}
