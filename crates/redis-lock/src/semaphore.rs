use crate::{
    LockError, LockGuard,
    backend::Backend,
    keys::Keys,
    room::{LARGEST, Room},
};
use kv_core::{Error, Result};
use std::{sync::Arc, time::Duration};

/// A lock that up to a number of holders may have at a time: [`LockManager::semaphore`](crate::LockManager::semaphore). Clones are the same.
///
/// Permits are handed out in the order of coming: whoever waits for many is not passed by those who want few. Each guard has a lease, by
/// the server's time, and a fencing token of its own; when one dies, its permits are free by the end of its lease, and no others are. Waits,
/// errors and dropped futures are those of [`acquire`](crate::LockManager::acquire); tasks of one manager each stand in line for themselves.
///
/// The limit is not stored: each acquisition, at once or from the line, compares what all hold with the limit its own handle has. Where two
/// differ, the smaller one lets fewer in, and takes nothing from those inside.
#[derive(Clone, Debug)]
pub struct Semaphore(Room);

/// What a [`Permit`] is of.
#[derive(Debug)]
pub enum Permits {}

/// One permit of a [`Semaphore`], or as many as were acquired together.
pub type Permit = LockGuard<Permits>;

/// A [`Semaphore`], looked at from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SemaphoreState {
    /// How many permits are taken; more than the limit of the handle if others have a larger one.
    pub taken: u32,
    /// How many are not, by the limit of the handle.
    pub available: u32,
    /// How many wait in line, each for one permit or more.
    pub waiting: u64,
}

impl Semaphore {
    pub(crate) fn new(backend: Arc<Backend>, keys: Keys, limit: u32) -> Result<Self> {
        if !(1..=LARGEST).contains(&limit) {
            return Err(Error::invalid_config("semaphore", "limit must be 1 to 2^31 - 1"));
        }
        Ok(Self(Room::new(backend, keys, limit)))
    }

    /// Takes a permit, if one is free and nobody waits. One round trip.
    pub async fn try_acquire(&self) -> Result<Option<Permit>, LockError> {
        self.try_acquire_many(1).await
    }

    /// Takes so many permits at once, or none. One round trip.
    ///
    /// Errors: [`InvalidInput`](kv_core::ErrorKind::InvalidInput) for none, or for more than the limit.
    pub async fn try_acquire_many(&self, permits: u32) -> Result<Option<Permit>, LockError> {
        self.0.try_enter(permits).await
    }

    /// Takes a permit, waiting no longer than `wait`; [`LockError::Timeout`] when others keep them that long. One round trip when one is
    /// free and nobody waits.
    pub async fn acquire(&self, wait: Duration) -> Result<Permit, LockError> {
        self.acquire_many(1, wait).await
    }

    /// Takes so many permits at once, waiting no longer than `wait`; errors as of [`acquire`](Self::acquire) and
    /// [`try_acquire_many`](Self::try_acquire_many).
    pub async fn acquire_many(&self, permits: u32, wait: Duration) -> Result<Permit, LockError> {
        self.0.enter(permits, wait).await
    }

    /// Says how many permits are taken, and how many wait. One round trip; changes nothing.
    pub async fn inspect(&self) -> Result<SemaphoreState, LockError> {
        let (taken, waiting) = self.0.look().await?;
        Ok(SemaphoreState { taken, available: self.0.limit().saturating_sub(taken), waiting })
    }
}
