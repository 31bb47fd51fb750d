use quick_cache::{Lifecycle, Weighter};
use std::sync::Arc;
use tokio::time::Instant;

#[derive(Debug)]
pub(super) struct Entry<V, M> {
    pub(super) value: Option<Arc<V>>,
    pub(super) meta: M,
    pub(super) deadline: Instant,
    pub(super) weight: u32,
    /// Whether the deadline already heeds that the link is down.
    pub(super) capped: bool,
}

impl<V, M: Copy> Clone for Entry<V, M> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), ..*self }
    }
}

/// Entries weigh what they were said to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weight;

impl Weight {
    /// What an entry takes beside its key and its value: its place in the map, two allocations, two counts.
    pub(super) const ENTRY: usize = 160;

    /// In bytes; never zero, which the map takes for "not to be evicted".
    pub(super) fn of(key: &str, bytes: usize) -> u32 {
        u32::try_from(bytes.saturating_add(key.len() + Self::ENTRY)).unwrap_or(u32::MAX)
    }
}

impl<V, M> Weighter<Box<str>, Entry<V, M>> for Weight {
    fn weight(&self, _: &Box<str>, entry: &Entry<V, M>) -> u64 {
        entry.weight.into()
    }
}

/// Has what goes for others, or for its successor, dropped once the lock is free.
#[derive(Clone, Copy, Debug)]
pub(super) struct Departures;

impl<V, M> Lifecycle<Box<str>, Entry<V, M>> for Departures {
    type RequestState = Gone<V>;

    fn on_evict(&self, gone: &mut Gone<V>, key: Box<str>, entry: Entry<V, M>) {
        match &mut gone.first {
            first @ None => *first = Some((key, entry.value)),
            Some(_) => gone.more.push((key, entry.value)),
        }
    }
}

/// What went in one call: mostly one entry.
#[derive(Debug)]
pub(super) struct Gone<V> {
    first: Option<(Box<str>, Option<Arc<V>>)>,
    more: Vec<(Box<str>, Option<Arc<V>>)>,
}

impl<V> Gone<V> {
    /// How many went but for this key.
    pub(super) fn others(&self, key: &str) -> u64 {
        self.first.iter().chain(&self.more).filter(|(gone, _)| **gone != *key).count() as u64
    }
}

impl<V> Default for Gone<V> {
    fn default() -> Self {
        Self { first: None, more: Vec::new() }
    }
}
