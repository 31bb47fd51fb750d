//! Latencies in buckets that grow with them.

use std::time::Duration;

/// Buckets per power of two: a bucket is at most 1/32 wide.
const STEPS: u64 = 32;
/// 2^40 ns, 18 minutes, is the end of the scale.
const OCTAVES: u64 = 36;

/// Counts durations with an error of 1.6 % at most.
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: vec![0; (STEPS * OCTAVES) as usize], count: 0 }
    }
}

impl Histogram {
    pub(crate) fn record(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket(nanos)] += 1;
        self.count += 1;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(to, from)| *to += from);
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The duration that this share of all does not exceed, in microseconds; `None` when nothing is recorded.
    pub(crate) fn quantile_us(&self, share: f64) -> Option<f64> {
        let rank = ((self.count as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let found = self.buckets.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Some(middle(found as u64) / 1e3)
    }
}

/// The first bucket of an octave holds its power of two; below 32 ns every nanosecond has a bucket.
fn bucket(nanos: u64) -> usize {
    let octave = nanos.max(STEPS).ilog2() - STEPS.ilog2();
    let step = nanos >> octave;
    // Beyond the scale everything is the last bucket.
    ((u64::from(octave) * STEPS + step).min(STEPS * OCTAVES - 1)) as usize
}

fn middle(bucket: u64) -> f64 {
    let octave = (bucket / STEPS).saturating_sub(1);
    let step = bucket - octave * STEPS;
    let width = (1u64 << octave) as f64;
    step as f64 * width + (width - 1.0) / 2.0
}

#[cfg(test)]
mod tests {
    use super::{Histogram, bucket, middle};
    use std::time::Duration;

    #[test]
    fn every_duration_is_found_within_two_percent() {
        for nanos in (0..36).flat_map(|bits| [0, 1, 2, 3].map(|part| (1u64 << bits) + (part << bits) / 4)) {
            let found = middle(bucket(nanos) as u64);
            assert!((found - nanos as f64).abs() <= nanos as f64 * 0.016, "{nanos} ns is {found}");
        }
        assert_eq!(bucket(u64::MAX), bucket(u64::MAX - 1));
    }

    #[test]
    fn quantiles_are_ranks() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile_us(0.5), None);
        (1..=100).for_each(|micros| histogram.record(Duration::from_micros(micros)));
        let median = histogram.quantile_us(0.5).unwrap();
        assert!((49.0..51.0).contains(&median), "{median}");
        let last = histogram.quantile_us(0.99).unwrap();
        assert!((97.4..100.6).contains(&last), "{last}");
    }
}
