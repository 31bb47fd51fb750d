use crate::{holding::Holding, request::Request};
use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::oneshot;

/// The tasks of one manager that want the same lock: the first deals with the server, the others wait for their turn.
#[derive(Debug, Default)]
pub(crate) struct Cohort {
    names: Mutex<HashMap<Arc<str>, Queue>>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<oneshot::Sender<Turn>>,
    /// How many there may be before those who gave up are looked for.
    sweep_at: usize,
}

/// It is somebody's turn.
#[derive(Debug)]
pub(crate) enum Turn {
    /// To deal with the server.
    Lead(Seat),
    /// To deal with the server from the place in line that somebody gave up.
    LeadOn(Box<Request>),
    /// To have the lock.
    Hold(Box<Holding>),
}

/// Whether it is one's turn already.
pub(crate) enum Place {
    First(Seat),
    Behind(oneshot::Receiver<Turn>),
}

/// The first place at a lock; dropped, it goes to the next.
pub(crate) struct Seat {
    cohort: Arc<Cohort>,
    lock: Arc<str>,
}

const FIRST_SWEEP: usize = 64;

impl Cohort {
    pub(crate) fn join(self: &Arc<Self>, lock: &Arc<str>) -> Place {
        let mut names = self.names();
        let Some(queue) = names.get_mut(lock) else {
            names.insert(lock.clone(), Queue::default());
            return Place::First(Seat { cohort: self.clone(), lock: lock.clone() });
        };
        if queue.waiting.len() >= queue.sweep_at.max(FIRST_SWEEP) {
            queue.waiting.retain(|waiter| !waiter.is_closed());
            queue.sweep_at = queue.waiting.len() * 2;
        }
        let (turn, turned) = oneshot::channel();
        queue.waiting.push_back(turn);
        Place::Behind(turned)
    }

    fn names(&self) -> MutexGuard<'_, HashMap<Arc<str>, Queue>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// How many wait behind.
    pub(crate) fn behind(&self) -> usize {
        self.cohort.names().get(&self.lock).map_or(0, |queue| queue.waiting.len())
    }

    /// The next who still waits.
    pub(crate) fn next(&self) -> Option<oneshot::Sender<Turn>> {
        let mut names = self.cohort.names();
        let queue = names.get_mut(&self.lock)?;
        std::iter::from_fn(|| queue.waiting.pop_front()).find(|waiter| !waiter.is_closed())
    }

    /// The next who still waits; with nobody left, the place is gone.
    fn next_or_leave(&self) -> Option<oneshot::Sender<Turn>> {
        let mut names = self.cohort.names();
        let queue = names.get_mut(&self.lock)?;
        let next = std::iter::from_fn(|| queue.waiting.pop_front()).find(|waiter| !waiter.is_closed());
        if next.is_none() {
            names.remove(&self.lock);
        }
        next
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(next) = self.next_or_leave() {
            // Should they be gone this instant, their seat is dropped in turn.
            let _ = next.send(Turn::Lead(Seat { cohort: self.cohort.clone(), lock: self.lock.clone() }));
        }
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seat")
    }
}
