use crate::{
    LockError, LockGuard,
    backend::Backend,
    keys::Keys,
    room::{LARGEST, Room},
};
use std::{sync::Arc, time::Duration};

/// A lock that many may hold to read, or one to write: [`LockManager::rw_lock`](crate::LockManager::rw_lock). Clones are the same lock.
///
/// All are served in the order of coming: a reader behind a writer that waits, waits, so that neither readers nor writers starve, and
/// readers that wait side by side are let in together. Whoever holds it to read and asks to write waits for itself: release first. Each
/// holder has a lease and a fencing token of its own, and one that dies leaves the others theirs. Waits, errors and dropped futures are
/// those of [`acquire`](crate::LockManager::acquire); tasks of one manager each stand in line for themselves.
///
/// It is another lock than the one of the same name that `acquire` takes.
#[derive(Clone, Debug)]
pub struct RwLock(Room);

/// What a [`ReadGuard`] is of.
#[derive(Debug)]
pub enum Reader {}

/// What a [`WriteGuard`] is of.
#[derive(Debug)]
pub enum Writer {}

/// An [`RwLock`] that is held to read.
pub type ReadGuard = LockGuard<Reader>;

/// An [`RwLock`] that is held to write.
pub type WriteGuard = LockGuard<Writer>;

/// An [`RwLock`], looked at from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RwState {
    /// How many read.
    pub readers: u32,
    /// Whether somebody writes.
    pub writing: bool,
    /// How many wait in line.
    pub waiting: u64,
}

/// A reader weighs one, a writer everything.
const WRITER: u32 = LARGEST;

impl RwLock {
    pub(crate) fn new(backend: Arc<Backend>, keys: Keys) -> Self {
        Self(Room::new(backend, keys, WRITER))
    }

    /// Takes it to read, if nobody writes or waits. One round trip.
    pub async fn try_read(&self) -> Result<Option<ReadGuard>, LockError> {
        self.0.try_enter(1).await
    }

    /// Takes it to read, waiting no longer than `wait`; [`LockError::Timeout`] when others keep it that long. One round trip when nobody
    /// writes or waits.
    pub async fn read(&self, wait: Duration) -> Result<ReadGuard, LockError> {
        self.0.enter(1, wait).await
    }

    /// Takes it to write, if nobody holds it or waits. One round trip.
    pub async fn try_write(&self) -> Result<Option<WriteGuard>, LockError> {
        self.0.try_enter(WRITER).await
    }

    /// Takes it to write, waiting no longer than `wait`; [`LockError::Timeout`] when others keep it that long. One round trip when nobody
    /// holds it or waits.
    pub async fn write(&self, wait: Duration) -> Result<WriteGuard, LockError> {
        self.0.enter(WRITER, wait).await
    }

    /// Says who holds it, and how many wait. One round trip; changes nothing.
    pub async fn inspect(&self) -> Result<RwState, LockError> {
        let (used, waiting) = self.0.look().await?;
        let writing = used >= WRITER;
        Ok(RwState { readers: if writing { 0 } else { used }, writing, waiting })
    }
}
