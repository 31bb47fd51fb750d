use super::WhileLinkDown;
use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};
use tokio::time::Instant;

/// Who tells what changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Teller {
    /// Other caches, on their channel.
    Caches = 1,
    /// The store, whoever changes it.
    Store = 2,
}

/// Whether invalidations are heard, and since when not.
#[derive(Debug, Default)]
pub(super) struct Link {
    down: AtomicBool,
    missing: Mutex<Missing>,
}

#[derive(Debug, Default)]
struct Missing {
    tellers: u8,
    since: Option<Instant>,
}

impl Link {
    fn missing(&self) -> MutexGuard<'_, Missing> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is down already stays down since then.
    pub(super) fn down(&self, teller: Teller) {
        let mut missing = self.missing();
        missing.tellers |= teller as u8;
        missing.since.get_or_insert_with(Instant::now);
        self.down.store(true, Ordering::Release);
    }

    /// It is up once everybody is heard.
    pub(super) fn up(&self, teller: Teller) {
        let mut missing = self.missing();
        missing.tellers &= !(teller as u8);
        if missing.tellers == 0 {
            self.down.store(false, Ordering::Release);
            missing.since = None;
        }
    }

    #[inline]
    pub(super) fn is_down(&self) -> bool {
        self.down.load(Ordering::Acquire)
    }

    /// Whether what was put in before the link went down is still served.
    pub(super) fn serves(&self, now: Instant, policy: WhileLinkDown) -> bool {
        self.missing().since.is_none_or(|since| now.saturating_duration_since(since) < policy.cap())
    }
}
