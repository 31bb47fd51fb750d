use crate::{CacheError, CacheOptions};
use std::{
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
};
use tokio::{
    sync::{Semaphore, SemaphorePermit, TryAcquireError},
    time::timeout,
};

/// How many loads may run at a time, and how many may wait for that.
pub(crate) struct Permits {
    most: usize,
    running: Semaphore,
    queued: AtomicUsize,
}

impl Permits {
    pub(crate) fn new(options: &CacheOptions) -> Self {
        Self { most: options.max_loads, running: Semaphore::new(options.max_loads), queued: AtomicUsize::new(0) }
    }

    /// A permit as soon as there is one; [`CacheError::Overloaded`] if too many wait already, or it takes too long.
    pub(crate) async fn acquire(&self, options: &CacheOptions) -> Result<SemaphorePermit<'_>, CacheError> {
        if let Ok(permit) = self.running.try_acquire() {
            return Ok(permit);
        }
        let waiting = Waiting::of(&self.queued);
        if waiting.ahead >= options.max_queued_loads {
            return Err(CacheError::Overloaded);
        }
        match timeout(options.load_timeout, self.running.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(CacheError::Overloaded),
        }
    }

    /// A permit if there is one.
    pub(crate) fn try_acquire(&self) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.running.try_acquire()
    }
}

impl fmt::Debug for Permits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loads")
            .field("running", &(self.most - self.running.available_permits()))
            .field("queued", &self.queued.load(Ordering::Relaxed))
            .finish()
    }
}

/// One who waits, however that ends.
struct Waiting<'a> {
    count: &'a AtomicUsize,
    ahead: usize,
}

impl<'a> Waiting<'a> {
    fn of(count: &'a AtomicUsize) -> Self {
        Self { count, ahead: count.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}
