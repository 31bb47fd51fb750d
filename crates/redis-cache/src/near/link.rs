use super::WhileLinkDown;
use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};
use tokio::time::Instant;

/// Whether invalidations are heard, and since when not.
#[derive(Debug, Default)]
pub(super) struct Link {
    down: AtomicBool,
    since: Mutex<Option<Instant>>,
}

impl Link {
    fn since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is down already stays down since then.
    pub(super) fn down(&self) {
        self.since().get_or_insert_with(Instant::now);
        self.down.store(true, Ordering::Release);
    }

    pub(super) fn up(&self) {
        let mut since = self.since();
        self.down.store(false, Ordering::Release);
        *since = None;
    }

    #[inline]
    pub(super) fn is_down(&self) -> bool {
        self.down.load(Ordering::Acquire)
    }

    /// Whether what was put in before the link went down is still served.
    pub(super) fn serves(&self, now: Instant, policy: WhileLinkDown) -> bool {
        self.since().is_none_or(|since| now.saturating_duration_since(since) < policy.cap())
    }
}
