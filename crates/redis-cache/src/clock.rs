use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// How long a sighting is trusted: two clocks part by less than a tenth of a second in that time.
const TRUST: Duration = Duration::from_secs(600);

/// What the server's clock shows, as far as its replies tell, in milliseconds since 1970.
///
/// It is late by no more than the reply travelled and never early, unless one of the two clocks runs wrong. Nothing that must
/// not be served hangs on it, for the server's own expiry sees to that: only what is refreshed before.
#[derive(Debug, Default)]
pub(crate) struct ServerClock {
    sighting: Mutex<Option<Sighting>>,
    asked: AtomicBool,
}

#[derive(Clone, Copy, Debug)]
struct Sighting {
    at: Instant,
    millis: u64,
}

impl ServerClock {
    /// Notes what a reply that has just come says.
    pub(crate) fn set(&self, millis: u64) {
        *self.sighting.lock().unwrap_or_else(PoisonError::into_inner) = Some(Sighting { at: Instant::now(), millis });
    }

    /// The time; `None` before the first reply that told it, and long after the last.
    pub(crate) fn now(&self) -> Option<u64> {
        let sighting = (*self.sighting.lock().unwrap_or_else(PoisonError::into_inner))?;
        let since = sighting.at.elapsed();
        let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        (since < TRUST).then(|| sighting.millis.saturating_add(millis))
    }

    /// Leave to ask the server; one at a time has it.
    pub(crate) fn ask(&self) -> bool {
        !self.asked.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn answered(&self) {
        self.asked.store(false, Ordering::Release);
    }
}
