use super::{Late, Waiter, lock};
use std::{collections::HashMap, sync::Arc};
use tokio::time::Instant;

pub(super) struct Seats<V> {
    pub(super) by_key: HashMap<Arc<str>, Seat<V>>,
    pub(super) last: u64,
}

pub(super) struct Seat<V> {
    /// Tells a lead or flight whether the key is still its own.
    pub(super) number: u64,
    pub(super) stage: Stage<V>,
    pub(super) since: Instant,
    /// Those whose turn comes when this one is over.
    pub(super) waiting: Vec<Waiter<V>>,
}

pub(super) enum Stage<V> {
    Looking,
    Loading { late: Late<V> },
    Landing,
}

impl<V> Seats<V> {
    pub(super) fn look(&mut self, key: Arc<str>) -> u64 {
        self.last += 1;
        let seat = Seat { number: self.last, stage: Stage::Looking, since: Instant::now(), waiting: Vec::new() };
        self.by_key.insert(key, seat);
        self.last
    }

    pub(super) fn own(&mut self, key: &str, number: u64) -> Option<&mut Seat<V>> {
        self.by_key.get_mut(key).filter(|seat| seat.number == number)
    }
}

impl<V> Seat<V> {
    pub(super) fn push(&mut self, waiter: Waiter<V>) {
        match &self.stage {
            Stage::Looking | Stage::Landing => self.waiting.push(waiter),
            Stage::Loading { late } => lock(late).push(waiter),
        }
    }
}
