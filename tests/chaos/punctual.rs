use crate::call::lock;
use std::{
    sync::Mutex,
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// A call that took longer than it may, but for what the machine is to blame.
#[derive(Debug)]
pub(crate) struct Late {
    what: String,
    begun: Instant,
    ended: Instant,
    /// Over its deadline.
    pub(crate) over: Duration,
    /// Over what is allowed on top of that.
    excess: Duration,
}

/// A timer, a thread and a lock are never quite on time.
const GRACE: Duration = Duration::from_millis(20);

impl Late {
    /// Late is what takes a fifth longer than its deadline.
    pub(crate) fn of(what: &str, begun: Instant, ended: Instant, limit: Duration) -> Option<Self> {
        let took = ended.saturating_duration_since(begun);
        let over = took.checked_sub(limit).filter(|over| !over.is_zero())?;
        let excess = took.saturating_sub(limit + limit / 5 + GRACE);
        Some(Self { what: what.to_owned(), begun, ended, over, excess })
    }
}

/// How late a plain sleep is woken: what the scheduler of a busy machine adds to everything.
#[derive(Debug, Default)]
pub(crate) struct Control(Mutex<Vec<(Instant, Duration)>>);

const NAP: Duration = Duration::from_millis(5);

impl Control {
    /// Sleeps, again and again, and notes how late it wakes.
    pub(crate) async fn watch(&self) {
        loop {
            let due = Instant::now() + NAP;
            sleep(NAP).await;
            let late = due.elapsed();
            // A timer of tokio has milliseconds.
            if late > Duration::from_millis(2) {
                self.note(due, late);
            }
        }
    }

    fn note(&self, due: Instant, late: Duration) {
        lock(&self.0).push((due, late));
    }

    /// The time that was lost between two instants.
    pub(crate) fn lost(&self, from: Instant, to: Instant) -> Duration {
        let naps = lock(&self.0);
        naps.iter().filter(|(due, late)| *due <= to && from <= *due + *late).map(|(_, late)| late).sum()
    }

    pub(crate) fn worst(&self) -> Duration {
        lock(&self.0).iter().map(|(_, late)| *late).max().unwrap_or_default()
    }

    /// The calls that were late, and not because of the machine.
    pub(crate) fn breaches(&self, late: &[Late]) -> Vec<String> {
        let guilty = late.iter().filter(|call| call.excess > self.lost(call.begun, call.ended));
        guilty.map(|call| format!("{} ended {:.0?} after its deadline", call.what, call.over)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_late_unless_everything_was() {
        let (begun, limit) = (Instant::now(), Duration::from_millis(500));
        let ended = begun + Duration::from_millis(700);
        assert!(Late::of("get", begun, begun + limit, limit).is_none());
        let late = [Late::of("get", begun, ended, limit).unwrap()];
        let control = Control::default();
        assert_eq!(control.breaches(&late), ["get ended 200ms after its deadline"]);
        control.note(begun + limit, Duration::from_millis(79));
        assert_eq!(control.breaches(&late).len(), 1, "not enough of an excuse");
        control.note(begun + limit, Duration::from_millis(2));
        assert!(control.breaches(&late).is_empty());
        control.note(ended + limit, Duration::from_secs(9));
        assert_eq!(control.lost(begun, ended), Duration::from_millis(81));
        let allowed = [Late::of("get", begun, begun + Duration::from_millis(610), limit).unwrap()];
        assert!(Control::default().breaches(&allowed).is_empty(), "a fifth is allowed");
    }
}
