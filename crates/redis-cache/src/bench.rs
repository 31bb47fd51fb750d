//! A door for the benchmarks to what is not public; no part of the interface.

use crate::{NearOptions, near};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// The near store by itself.
#[derive(Debug)]
pub struct Near<V>(near::Near<V, Instant>);

impl<V> Near<V> {
    /// With these options.
    pub fn new(options: NearOptions) -> kv_core::Result<Self> {
        options.check()?;
        Ok(Self(near::Near::new(options)))
    }

    /// What the cache does with an answer of the store.
    pub fn insert(&self, key: &str, value: Arc<V>, bytes: usize, ttl: Duration) -> bool {
        let epoch = self.0.epoch(key);
        let deadline = Instant::now() + ttl;
        self.0.insert(key, epoch, Some(value), bytes, deadline, deadline)
    }

    /// What it does first.
    #[inline]
    pub fn get(&self, key: &str) -> Option<Arc<V>> {
        self.0.get(key).filter(|hit| hit.now < hit.meta).and_then(|hit| hit.value)
    }
}
