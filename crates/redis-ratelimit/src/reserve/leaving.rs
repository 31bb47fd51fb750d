use super::place::{Line, Place};
use crate::gcra::Gcra;
use kv_core::{Error, ErrorKind, KvStore, Result};
use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{runtime::Handle, sync::oneshot};

/// Gives places back in a task of its own, which there is while there are some.
///
/// Those that are given back at the same time go together, so that the last in line is first.
#[derive(Clone, Debug)]
pub(crate) struct Leaving {
    pub(super) line: Arc<Line>,
    queue: Arc<Mutex<Queue>>,
}

#[derive(Debug, Default)]
struct Queue {
    places: Vec<(Place, Option<Told>)>,
    is_served: bool,
}

type Told = oneshot::Sender<Result<bool>>;

/// How many are given back in one round trip.
const AT_ONCE: usize = 256;

impl Leaving {
    pub(crate) fn new(store: Arc<dyn KvStore>, gcra: Gcra) -> Self {
        Self { line: Arc::new(Line { store, gcra }), queue: Arc::default() }
    }

    /// Gives a place back, and tells whether it could. Never waits and never panics.
    pub(super) fn start(&self, runtime: &Handle, place: Place, told: Option<Told>) {
        let mut queue = lock(&self.queue);
        queue.places.push((place, told));
        let starts = !mem::replace(&mut queue.is_served, true);
        drop(queue);
        if starts {
            let serving = Serving { queue: self.queue.clone(), is_over: false };
            runtime.spawn(serve(self.line.clone(), serving));
        }
    }
}

/// The task; with it go those who wait for it.
struct Serving {
    queue: Arc<Mutex<Queue>>,
    is_over: bool,
}

async fn serve(line: Arc<Line>, mut serving: Serving) {
    while let Some(some) = serving.next() {
        let (mut places, told): (Vec<Place>, Vec<Option<Told>>) = some.into_iter().unzip();
        let told = told.into_iter().flatten().next();
        let left = line.leave(&mut places).await;
        // A lost reply is not asked for again: it may have been given back, and taken by somebody else.
        let failed = left.as_ref().err().or_else(|| left.as_ref().ok()?.iter().find_map(|left| left.as_ref().err()));
        if let Some(error) = failed {
            tracing::warn!(%error, "what was reserved stays taken");
        }
        if let Some(told) = told {
            let only = left.and_then(|mut left| left.pop().unwrap_or_else(|| Err(gone())));
            drop(told.send(only));
        }
    }
}

impl Serving {
    /// The next places: many that nobody waits for, or one.
    fn next(&mut self) -> Option<Vec<(Place, Option<Told>)>> {
        let mut queue = lock(&self.queue);
        if queue.places.is_empty() {
            (queue.is_served, self.is_over) = (false, true);
            return None;
        }
        let awaited = queue.places.iter().position(|(_, told)| told.is_some()).unwrap_or(queue.places.len());
        Some(queue.places.drain(..awaited.clamp(1, AT_ONCE)).collect())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let mut queue = lock(&self.queue);
        queue.is_served = false;
        // With the runtime gone nobody gives them back; whoever waits is told.
        queue.places.clear();
    }
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn gone() -> Error {
    Error::new(ErrorKind::Unavailable, "ratelimit").with_detail("the runtime is gone")
}
