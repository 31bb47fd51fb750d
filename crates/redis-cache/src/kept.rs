use crate::{
    cache::Inner,
    found::{Found, Freshness, Stamp},
    near::{Epoch, Hit},
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// What is kept beside a value in this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    stamp: Stamp,
    fresh_until: Instant,
}

impl<V> Inner<V> {
    /// What this process keeps of a key. No round trip.
    #[inline]
    pub(crate) fn at_hand(&self, id: &str) -> Option<Hit<V, Kept>> {
        if let Some(hot) = &self.hot {
            hot.read(id);
        }
        let hit = self.near.as_ref()?.get(id)?;
        self.remote.counters.near_hits.count();
        Some(hit)
    }

    /// The same with what is to be done with it.
    pub(crate) fn kept(&self, id: &str) -> Option<(Found<V>, Freshness)> {
        let Hit { value, meta: Kept { stamp, fresh_until }, now } = self.at_hand(id)?;
        let (times, options) = (stamp.times, &self.remote.options);
        let left = fresh_until.saturating_duration_since(now).as_millis() as u64;
        let ahead = times.may_be_ahead(options, left) && times.is_ahead(options, left, rand::random());
        let freshness = if ahead { Freshness::Refresh } else { Freshness::Fresh };
        Some((Found { value, stamp, tags: Default::default() }, freshness))
    }

    /// To be taken before the store is asked for what is to be kept.
    pub(crate) fn epoch(&self, id: &str) -> Option<Epoch> {
        self.near.as_ref().map(|near| near.epoch(id))
    }

    /// Keeps what the store said of a key, unless it was invalidated since.
    pub(crate) fn keep(&self, id: &str, epoch: Option<Epoch>, found: &Found<V>) {
        // Without the server's clock there is no telling how old it is.
        if let (Some(near), Some(epoch)) = (&self.near, epoch)
            && let Some(now) = self.remote.clock.now()
        {
            let times = found.stamp.times;
            let left = (times.loaded_at + u64::from(times.fresh_for)).saturating_sub(now);
            let is_hot = !near.is_for_hot_keys() || self.hot.as_ref().is_some_and(|hot| hot.is_hot(id));
            // What is over is not kept, and takes away what was there before it.
            let fresh_until = Instant::now() + Duration::from_millis(if is_hot { left } else { 0 });
            near.insert(
                id,
                epoch,
                found.value.clone(),
                found.stamp.size,
                fresh_until,
                Kept { stamp: found.stamp, fresh_until },
            );
        }
    }

    /// The same for what has just been stored.
    pub(crate) fn keep_stored(&self, id: &str, epoch: Option<Epoch>, value: Option<&Arc<V>>, stamp: Stamp) {
        self.keep(id, epoch, &Found { value: value.cloned(), stamp, tags: Default::default() });
    }
}
