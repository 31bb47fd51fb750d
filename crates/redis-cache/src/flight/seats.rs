use super::{Late, Waiter, lock};
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;

pub(super) struct Seats<V> {
    pub(super) by_key: HashMap<Arc<str>, Seat<V>>,
    pub(super) last: u64,
}

pub(super) struct Seat<V> {
    /// Tells a lead or flight whether the key is still its own.
    pub(super) number: u64,
    pub(super) stage: Stage<V>,
    /// When somebody began to wait for this one; most look alone, and need no clock.
    pub(super) since: Option<Instant>,
    /// Those whose turn comes when this one is over.
    pub(super) waiting: Vec<Waiter<V>>,
}

pub(super) enum Stage<V> {
    Looking,
    Loading { late: Late<V> },
    Landing,
}

impl<V> Seats<V> {
    /// The seat that a key has; the number of a new one if it had none.
    pub(super) fn take(&mut self, key: Arc<str>) -> Result<u64, &mut Seat<V>> {
        match self.by_key.entry(key) {
            Entry::Occupied(seat) => Err(seat.into_mut()),
            Entry::Vacant(place) => {
                self.last += 1;
                let (stage, waiting) = (Stage::Looking, Vec::new());
                place.insert(Seat { number: self.last, stage, since: None, waiting });
                Ok(self.last)
            }
        }
    }

    pub(super) fn own(&mut self, key: &str, number: u64) -> Option<&mut Seat<V>> {
        self.by_key.get_mut(key).filter(|seat| seat.number == number)
    }
}

impl<V> Seat<V> {
    pub(super) fn push(&mut self, waiter: Waiter<V>) {
        self.since.get_or_insert_with(Instant::now);
        match &self.stage {
            Stage::Looking | Stage::Landing => self.waiting.push(waiter),
            Stage::Loading { late } => lock(late).push(waiter),
        }
    }

    /// Whether those who wait have done so for no longer than this.
    pub(super) fn is_within(&self, patience: Duration) -> bool {
        self.since.is_none_or(|since| since.elapsed() < patience)
    }
}
