//! The switches on the page.

use std::sync::atomic::{AtomicBool, Ordering};

/// Which guards are on: all, at first.
pub(crate) struct Guards {
    cache: AtomicBool,
    limit: AtomicBool,
    lock: AtomicBool,
}

impl Default for Guards {
    fn default() -> Self {
        let on = || AtomicBool::new(true);
        Self { cache: on(), limit: on(), lock: on() }
    }
}

impl Guards {
    pub(crate) fn cache(&self) -> bool {
        self.cache.load(Ordering::Relaxed)
    }

    pub(crate) fn limit(&self) -> bool {
        self.limit.load(Ordering::Relaxed)
    }

    pub(crate) fn lock(&self) -> bool {
        self.lock.load(Ordering::Relaxed)
    }

    /// Whether there is one of this name.
    pub(crate) fn switch(&self, guard: &str, on: bool) -> bool {
        let guard = match guard {
            "cache" => &self.cache,
            "limit" => &self.limit,
            "lock" => &self.lock,
            _ => return false,
        };
        guard.store(on, Ordering::Relaxed);
        true
    }
}
