mod options;

pub use options::HotKeyOptions;

use std::{
    cell::Cell,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// A key that is read much, see [`Cache::hot_keys`](crate::Cache::hot_keys).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HotKey {
    /// The key.
    pub key: String,
    /// How often this process reads it, at least, as far as the sample tells.
    pub reads_per_second: f64,
}

/// Which keys are read most.
///
/// Space-Saving (Metwally, Agrawal, El Abbadi 2005) over a sample of the reads: a key that is not followed takes the place of the least, and its count
/// as its own possible error. Counts decay, so that they are rates.
#[derive(Debug)]
pub(crate) struct HotKeys {
    options: HotKeyOptions,
    hasher: RandomState,
    table: Mutex<Table>,
}

#[derive(Debug)]
struct Table {
    rows: Vec<Row>,
    decayed: Instant,
}

#[derive(Debug)]
struct Row {
    hash: u64,
    key: Box<str>,
    count: f64,
    /// How much of the count may be of others.
    over: f64,
}

impl HotKeys {
    /// For options that were [checked](HotKeyOptions::check).
    pub(crate) fn new(options: HotKeyOptions) -> Self {
        let table = Table { rows: Vec::with_capacity(options.tracked), decayed: Instant::now() };
        Self { options, hasher: RandomState::new(), table: Mutex::new(table) }
    }

    /// One read; most are let pass.
    #[inline]
    pub(crate) fn read(&self, key: &str) {
        if self.options.sample == 1 || dice().is_multiple_of(self.options.sample) {
            self.count(key);
        }
    }

    fn count(&self, key: &str) {
        let hash = self.hasher.hash_one(key);
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.decay(self.options.half_life);
        if let Some(row) = table.rows.iter_mut().find(|row| row.hash == hash && *row.key == *key) {
            row.count += 1.0;
        } else if table.rows.len() < self.options.tracked {
            table.rows.push(Row { hash, key: key.into(), count: 1.0, over: 0.0 });
        } else if let Some(least) = table.rows.iter_mut().min_by(|a, b| a.count.total_cmp(&b.count)) {
            *least = Row { hash, key: key.into(), count: least.count + 1.0, over: least.count };
        }
    }

    /// Whether it is read as often as a hot key is.
    pub(crate) fn is_hot(&self, key: &str) -> bool {
        let hash = self.hasher.hash_one(key);
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.decay(self.options.half_life);
        let row = table.rows.iter().find(|row| row.hash == hash && *row.key == *key);
        row.is_some_and(|row| self.rate(row) >= self.options.rate)
    }

    /// Those that are, the hottest first.
    pub(crate) fn list(&self) -> Vec<HotKey> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.decay(self.options.half_life);
        let found = table.rows.iter().map(|row| HotKey { key: row.key.to_string(), reads_per_second: self.rate(row) });
        let mut hot: Vec<_> = found.filter(|found| found.reads_per_second >= self.options.rate).collect();
        hot.sort_by(|a, b| b.reads_per_second.total_cmp(&a.reads_per_second));
        hot
    }

    /// A count that halves in each half-life stays where as many come as go.
    fn rate(&self, row: &Row) -> f64 {
        let per_count = std::f64::consts::LN_2 / self.options.half_life.as_secs_f64();
        (row.count - row.over) * per_count * f64::from(self.options.sample)
    }
}

impl Table {
    fn decay(&mut self, half_life: Duration) {
        let now = Instant::now();
        let passed = now.saturating_duration_since(self.decayed);
        // What is over sooner makes no difference, and costs the same.
        if passed * 50 < half_life {
            return;
        }
        let left = (-passed.div_duration_f64(half_life)).exp2();
        for row in &mut self.rows {
            row.count *= left;
            row.over *= left;
        }
        self.rows.retain(|row| row.count > 0.01);
        self.decayed = now;
    }
}

/// Chance that costs next to nothing: xorshift, for each thread.
fn dice() -> u32 {
    thread_local!(static DICE: Cell<u32> = const { Cell::new(0x9E37_79B9) });
    DICE.with(|dice| {
        let mut next = dice.get();
        next ^= next << 13;
        next ^= next >> 17;
        next ^= next << 5;
        dice.set(next);
        next
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    fn hot(tracked: usize, sample: u32) -> HotKeys {
        let second = Duration::from_secs(1);
        HotKeys::new(HotKeyOptions::default().tracked(tracked).sample(sample).rate(50.0).half_life(second))
    }

    /// So many reads of each key in each of a hundred parts of a second.
    async fn second(hot: &HotKeys, keys: &[(&str, u32)]) {
        for _ in 0..100 {
            for (key, reads) in keys {
                (0..*reads).for_each(|_| hot.read(key));
            }
            advance(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn rates_are_what_they_are_and_fade() {
        let hot = hot(4, 1);
        for _ in 0..10 {
            second(&hot, &[("much", 5), ("some", 1)]).await;
        }
        let found = hot.list();
        assert_eq!(found.iter().map(|found| found.key.as_str()).collect::<Vec<_>>(), ["much", "some"]);
        assert!((480.0..520.0).contains(&found[0].reads_per_second), "{found:?}");
        assert!(hot.is_hot("some") && !hot.is_hot("none"));
        advance(Duration::from_secs(2)).await;
        assert!(hot.is_hot("much") && !hot.is_hot("some"), "a quarter of 500 and of 100");
        advance(Duration::from_secs(60)).await;
        assert_eq!(hot.list(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn many_that_are_rare_do_not_look_hot_nor_hide_what_is() {
        let hot = hot(16, 1);
        for round in 0..1000u32 {
            // Each of them once, twenty times as many in a turn as there is place for; one of nine reads is of the hot key.
            for at in 0..320 {
                hot.read(&format!("rare {round} {at}"));
                if at % 8 == 0 {
                    hot.read("hot");
                }
            }
            advance(Duration::from_millis(10)).await;
        }
        let found = hot.list();
        assert_eq!(found.len(), 1, "{found:?}");
        // Less what others may have left in its place.
        assert!(found[0].key == "hot" && (3000.0..4100.0).contains(&found[0].reads_per_second), "{found:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_sample_tells_about_the_same() {
        let hot = hot(4, 16);
        for _ in 0..10 {
            second(&hot, &[("much", 50)]).await;
        }
        let found = hot.list();
        assert!((4000.0..6000.0).contains(&found[0].reads_per_second), "{found:?}");
    }
}
