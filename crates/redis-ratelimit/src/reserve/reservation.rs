use super::{
    leaving::{self, Leaving},
    place::Place,
};
use kv_core::Result;
use std::{fmt, time::Duration};
use tokio::{
    runtime::Handle,
    sync::oneshot,
    time::{Instant, sleep_until},
};

/// Leave to go on, now or later: what it took is taken.
///
/// Dropped before it is due, it gives back in the background what it took, in a task of the limiter's; that never waits, and without
/// a runtime what it took stays taken. Dropped when it is due, it counts as used.
///
/// What is given back can be taken by the next who asks, if nobody has asked since this was made. If somebody has, they keep their
/// times, and its place stays empty: two in one place would be more than the quota.
#[must_use = "dropping the reservation gives it back, unless it is due"]
pub struct Reservation {
    held: Option<(Place, Leaving)>,
    due: Instant,
    runtime: Option<Handle>,
}

impl Reservation {
    pub(super) fn new(held: Option<(Place, Leaving)>, wait: Duration) -> Self {
        Self { held, due: Instant::now() + wait, runtime: Handle::try_current().ok() }
    }

    /// How long it is until it is due, by the local clock and never too early; zero once it is. No round trip.
    pub fn due_in(&self) -> Duration {
        self.due.saturating_duration_since(Instant::now())
    }

    /// Waits until it is due; it is used then. No round trip.
    ///
    /// Dropping the future gives it back, as dropping the reservation does. Needs tokio's timer.
    #[doc(alias = "wait")]
    pub async fn ready(self) {
        if !self.due_in().is_zero() {
            sleep_until(self.due).await;
        }
        self.keep();
    }

    /// Counts it as used, whatever becomes of whoever waits for it, and says how long it is until it is due. No round trip.
    ///
    /// For work that goes elsewhere to wait: into a queue with delays, or to another process.
    #[doc(alias = "forget")]
    pub fn keep(mut self) -> Duration {
        self.held = None;
        self.due_in()
    }

    /// Gives back what it took, due or not, and says whether it could: not if somebody has asked since. One round trip.
    ///
    /// An error [that may have been executed](kv_core::Executed::Maybe) may have given it back. It is not tried again, since that could
    /// give back what somebody else took. Dropping the future changes nothing: the order goes out in the background.
    pub async fn cancel(mut self) -> Result<bool> {
        let Some((place, leaving)) = self.held.take() else { return Ok(true) };
        let Some(runtime) = self.runtime() else {
            let left = leaving.line.leave(&mut [place]).await?.pop();
            return left.unwrap_or(Ok(false));
        };
        let (told, answer) = oneshot::channel();
        leaving.start(&runtime, place, Some(told));
        answer.await.unwrap_or_else(|_| Err(leaving::gone()))
    }

    fn runtime(&self) -> Option<Handle> {
        Handle::try_current().ok().or_else(|| self.runtime.clone())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some((place, leaving)) = self.held.take()
            && !self.due_in().is_zero()
        {
            match self.runtime() {
                Some(runtime) => leaving.start(&runtime, place, None),
                None => tracing::warn!("what was reserved stays taken: no runtime"),
            }
        }
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").field("due_in", &self.due_in()).finish_non_exhaustive()
    }
}
