use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::time::Instant;

/// The clock of a [`MemoryStore`](crate::MemoryStore), in microseconds since 1970; clones show and set the same time.
///
/// A running clock follows tokio's time, so that a paused runtime makes waits, timers and expiry virtual together.
/// Any clock can be moved, backwards too.
#[derive(Clone, Debug)]
pub struct Clock {
    /// Where a running clock began; a manual one has none.
    started: Option<Instant>,
    base: Arc<AtomicI64>,
}

impl Clock {
    /// A clock that shows the time of day and runs.
    pub fn running() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: Some(Instant::now()), base: Arc::new(AtomicI64::new(micros(now))) }
    }

    /// A clock that stands at a time until it is moved.
    pub fn manual(micros: i64) -> Self {
        Self { started: None, base: Arc::new(AtomicI64::new(micros)) }
    }

    /// The time in microseconds since 1970.
    pub fn now_micros(&self) -> i64 {
        self.base.load(Ordering::Relaxed).saturating_add(self.elapsed())
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.set_micros(self.now_micros().saturating_add(micros(by)));
    }

    /// Sets the clock, backwards too.
    pub fn set_micros(&self, now: i64) {
        self.base.store(now.saturating_sub(self.elapsed()), Ordering::Relaxed);
    }

    fn elapsed(&self) -> i64 {
        self.started.map_or(0, |started| micros(started.elapsed()))
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::running()
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
