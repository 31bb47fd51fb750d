use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// How long a sighting is trusted: two clocks part by less than a tenth of a second in that time.
const TRUST: u64 = Duration::from_secs(600).as_millis() as u64;

/// What the server's clock shows, as far as its replies tell, in milliseconds since 1970.
///
/// It is late by no more than the reply travelled and never early, unless one of the two clocks runs wrong. Nothing that must
/// not be served hangs on it, for the server's own expiry sees to that: only what is refreshed before.
#[derive(Debug)]
pub(crate) struct ServerClock {
    /// When its clock was first seen; what is local counts from there.
    first: OnceLock<Instant>,
    /// What the server's clock showed then, by the last sighting; [`UNSEEN`] before one.
    origin: AtomicI64,
    /// When that was, in milliseconds since the first.
    sighted: AtomicU64,
    asked: AtomicBool,
}

const UNSEEN: i64 = i64::MIN;

impl Default for ServerClock {
    fn default() -> Self {
        let (first, asked) = (OnceLock::new(), AtomicBool::new(false));
        Self { first, origin: AtomicI64::new(UNSEEN), sighted: AtomicU64::new(0), asked }
    }
}

impl ServerClock {
    /// Notes what a reply that has just come says.
    pub(crate) fn set(&self, millis: u64) {
        let since = millis_since(*self.first.get_or_init(Instant::now));
        self.sighted.store(since, Ordering::Relaxed);
        self.origin.store(millis.cast_signed().wrapping_sub_unsigned(since), Ordering::Release);
    }

    /// The time; `None` before the first reply that told it, and long after the last.
    pub(crate) fn now(&self) -> Option<u64> {
        let origin = self.origin.load(Ordering::Acquire);
        let since = millis_since(*self.first.get().filter(|_| origin != UNSEEN)?);
        let age = since.saturating_sub(self.sighted.load(Ordering::Relaxed));
        (age < TRUST).then(|| origin.wrapping_add_unsigned(since).cast_unsigned())
    }

    /// Leave to ask the server; one at a time has it.
    pub(crate) fn ask(&self) -> bool {
        !self.asked.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn answered(&self) {
        self.asked.store(false, Ordering::Release);
    }
}

fn millis_since(then: Instant) -> u64 {
    u64::try_from(then.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn a_sighting_is_believed_for_a_while_and_a_later_one_more() {
        let clock = ServerClock::default();
        assert_eq!(clock.now(), None);
        clock.set(5);
        advance(Duration::from_millis(20)).await;
        assert_eq!(clock.now(), Some(25));
        clock.set(20);
        assert_eq!(clock.now(), Some(20), "ours is fast");
        advance(Duration::from_millis(TRUST - 1)).await;
        assert_eq!(clock.now(), Some(20 + TRUST - 1));
        advance(Duration::from_millis(1)).await;
        assert_eq!(clock.now(), None);
        clock.set(7);
        assert_eq!(clock.now(), Some(7));
        assert!(clock.ask() && !clock.ask());
        clock.answered();
        assert!(clock.ask());
    }
}
