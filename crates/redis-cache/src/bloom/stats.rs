use super::{Inner, shape::BLOCK_BYTES};
use kv_core::Result;
use std::sync::atomic::{AtomicU64, Ordering};

/// How full a filter is, and what this process heard of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct BloomStats {
    /// Whether there is a filter: all of its pages. Without, everything may exist.
    pub ready: bool,
    /// The share of bits that are set, from 0 to 1; about a half, or less, when it holds what it is made for.
    pub fill_ratio: f64,
    /// How many of the ids that do not exist it takes for some that may, from 0 to 1, as full as it is.
    pub error_rate: f64,
    /// The bytes it takes in the store.
    pub bytes: u64,
    /// Answers that an id may exist.
    pub present: u64,
    /// Answers that an id does not exist.
    pub absent: u64,
    /// Answers that an id may exist for want of a filter.
    pub unready: u64,
    /// The same for an error of the store.
    pub store_errors: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    present: AtomicU64,
    absent: AtomicU64,
    unready: AtomicU64,
    store_errors: AtomicU64,
}

impl Counters {
    /// What is to be said, given what is known.
    pub(super) fn count(&self, known: &Result<Option<bool>>) -> bool {
        let (counter, may_exist) = match known {
            Ok(Some(true)) => (&self.present, true),
            Ok(Some(false)) => (&self.absent, false),
            Ok(None) => (&self.unready, true),
            Err(_) => (&self.store_errors, true),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        may_exist
    }

    pub(super) async fn read(&self, filter: &Inner) -> Result<BloomStats> {
        let (mut blocks, mut fill, mut error, mut ready) = (0_u64, 0.0, 0.0, true);
        for page in &filter.pages {
            let bytes = filter.store.get(page).await?.filter(|bytes| bytes.len() == filter.shape.page_bytes());
            ready &= bytes.is_some();
            for block in bytes.unwrap_or_default().chunks(BLOCK_BYTES).skip(1) {
                let set: u32 = block.iter().map(|byte| byte.count_ones()).sum();
                let share = f64::from(set) / (BLOCK_BYTES * 8) as f64;
                blocks += 1;
                fill += share;
                error += share.powi(filter.shape.hashes as i32);
            }
        }
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let all = blocks.max(1) as f64;
        Ok(BloomStats {
            ready,
            fill_ratio: fill / all,
            error_rate: error / all,
            bytes: filter.shape.page_bytes() as u64 * filter.shape.pages,
            present: read(&self.present),
            absent: read(&self.absent),
            unready: read(&self.unready),
            store_errors: read(&self.store_errors),
        })
    }
}
