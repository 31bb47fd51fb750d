//! A transform that is watched.

use crate::tally::{Figure, Tally};
use kv_core::{Result, Transform};
use std::sync::Arc;

/// Counts the bytes that go into a transform, and those that are stored for them.
#[derive(Debug)]
pub(crate) struct Measured<T> {
    inner: T,
    tally: Arc<Tally>,
}

impl<T> Measured<T> {
    pub(crate) fn new(inner: T, tally: Arc<Tally>) -> Self {
        Self { inner, tally }
    }
}

impl<T: Transform> Transform for Measured<T> {
    fn id(&self) -> u8 {
        self.inner.id()
    }

    fn apply(&self, plain: &[u8]) -> Result<Option<Vec<u8>>> {
        let transformed = self.inner.apply(plain)?;
        self.tally.add(Figure::PlainBytes, plain.len() as u64);
        self.tally.add(Figure::StoredBytes, transformed.as_ref().map_or(plain.len(), Vec::len) as u64);
        Ok(transformed)
    }

    fn revert(&self, transformed: &[u8]) -> Result<Vec<u8>> {
        self.inner.revert(transformed)
    }
}
