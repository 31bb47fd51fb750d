mod entry;
mod epoch;
mod link;
mod options;

pub(crate) use epoch::Epoch;
pub(crate) use link::Teller;
pub use options::{NearOptions, WhileLinkDown};

use entry::{Departures, Entry, Gone, Weight};
use epoch::Epochs;
use link::Link;
use quick_cache::{OptionsBuilder, sync::Cache as Map};
use std::{
    fmt,
    hash::RandomState,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::time::Instant;

/// Decoded values in this process, in front of the store.
///
/// What is said here is what the store said after the last invalidation of the key that was heard: an answer of the store
/// is put in together with the [`Epoch`] taken before the store was asked, and not put in if the key was
/// [forgotten](Self::forget) since. Nothing outlives its deadline.
pub(crate) struct Near<V, M> {
    map: Map<Box<str>, Entry<V, M>, Weight, RandomState, Departures>,
    epochs: Epochs,
    link: Link,
    options: NearOptions,
    heaviest: u32,
    evictions: AtomicU64,
}

/// What is known of a key here.
#[derive(Debug)]
pub(crate) struct Hit<V, M> {
    /// The value; `None` is known to be absent.
    pub(crate) value: Option<Arc<V>>,
    /// What was put in with it.
    pub(crate) meta: M,
    /// The time of the look, so that the caller need not read the clock again.
    pub(crate) now: Instant,
}

impl<V, M: Copy> Near<V, M> {
    /// Empty, for options that were [checked](NearOptions::check).
    pub(crate) fn new(options: NearOptions) -> Self {
        let bytes = options.max_bytes as u64;
        // An entry has to fit in a shard.
        let shards = std::thread::available_parallelism().map_or(4, usize::from) * 4;
        let shards = shards.min(options.max_bytes / SMALLEST_SHARD).max(1);
        let built = OptionsBuilder::new()
            // `shards` is rounded up to a power of two.
            .shards(if shards.is_power_of_two() { shards } else { shards.next_power_of_two() / 2 })
            .estimated_items_capacity(options.max_bytes / 1024)
            .weight_capacity(bytes)
            .build();
        let map = match built {
            Ok(built) => Map::with_options(built, Weight, RandomState::new(), Departures),
            // Only what was not set is refused.
            Err(_) => Map::with(1, bytes, Weight, RandomState::new(), Departures),
        };
        // The map refuses more, by a share of its own for what is new.
        let heaviest = u32::try_from(map.shard_capacity() / 16 * 15).unwrap_or(u32::MAX);
        Self { map, epochs: Epochs::new(), link: Link::default(), options, heaviest, evictions: AtomicU64::new(0) }
    }

    /// What is known of a key. Neither decodes nor allocates.
    #[inline]
    pub(crate) fn get(&self, key: &str) -> Option<Hit<V, M>> {
        let entry = self.map.get(key)?;
        let now = Instant::now();
        if now >= entry.deadline {
            self.map.remove_if(key, |entry| now >= entry.deadline);
            return None;
        }
        if self.link.is_down() && !entry.capped && !self.link.serves(now, self.options.while_link_down) {
            return None;
        }
        Some(Hit { value: entry.value, meta: entry.meta, now })
    }

    /// To be taken before the store is asked, for [`insert`](Self::insert).
    pub(crate) fn epoch(&self, key: &str) -> Epoch {
        self.epochs.of(key)
    }

    /// Keeps what the store said of a key until the deadline, and says whether it did.
    ///
    /// Not if the key was forgotten since the epoch was taken, nor while the link is down and nothing may be served then. `bytes` is what
    /// the value takes; the key and the map's own share are added. What is heavier than a shard is not kept. What is not kept has taken the
    /// place of what was there all the same.
    pub(crate) fn insert(
        &self,
        key: &str,
        epoch: Epoch,
        value: Option<Arc<V>>,
        bytes: usize,
        deadline: Instant,
        meta: M,
    ) -> bool {
        let weight = Weight::of(key, bytes);
        let mut gone = Gone::default();
        let kept = self.epochs.if_current(key, epoch, || {
            let now = Instant::now();
            let capped = self.link.is_down();
            let age = if capped { self.options.while_link_down.cap() } else { self.options.max_age };
            let deadline = now.checked_add(age.min(self.options.max_age)).map_or(deadline, |cap| cap.min(deadline));
            let kept = now < deadline && weight <= self.heaviest;
            if kept {
                let entry = Entry { value, meta, deadline, weight, capped };
                self.map.insert_with_lifecycle(key.into(), entry, &mut gone);
            } else {
                self.map.remove(key);
            }
            kept
        });
        self.evictions.fetch_add(gone.others(key), Ordering::Relaxed);
        kept
    }

    /// Forgets a key, also for whoever is asking the store for it just now.
    pub(crate) fn forget(&self, key: &str) {
        self.epochs.advance(key);
        self.map.remove(key);
    }

    /// Forgets everything, also for whoever is asking the store just now.
    pub(crate) fn clear(&self) {
        self.epochs.advance_all();
        // Unlike the map's own `clear`, this drops no value under a lock.
        self.map.drain().for_each(drop);
    }

    /// From now on what this one tells may be missed.
    pub(crate) fn link_down(&self, teller: Teller) {
        self.link.down(teller);
    }

    /// It is heard again; what it told before is made up for by forgetting everything.
    pub(crate) fn link_up(&self, teller: Teller) {
        self.clear();
        self.link.up(teller);
    }

    /// Whether the store is to tell, too.
    pub(crate) fn tracks(&self) -> bool {
        self.options.tracking
    }

    /// Whether what is not hot is left out.
    pub(crate) fn is_for_hot_keys(&self) -> bool {
        self.options.hot_only
    }

    /// The bytes in use, by the weights given and what an entry costs by itself.
    pub(crate) fn bytes(&self) -> u64 {
        self.map.weight()
    }

    /// How many entries there are, those past their deadline that nobody asked for included.
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    /// How many entries had to go for others.
    pub(crate) fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }
}

/// So many bytes at least are in one shard, if there are so many.
const SMALLEST_SHARD: usize = 1 << 20;

impl<V, M> fmt::Debug for Near<V, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Near").field("options", &self.options).field("link", &self.link).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod stress;
#[cfg(test)]
mod tests;
