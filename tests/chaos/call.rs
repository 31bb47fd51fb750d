use crate::{
    dice::Dice,
    punctual::Late,
    window::{Clock, Suspicion, Windows},
};
use kv_core::{Executed, Result};
use kv_redis::RedisStore;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout};

/// The longest a call may take.
pub(crate) const DEADLINE: Duration = Duration::from_millis(500);

/// What all workers share: what became of the calls, and what is forgiven when.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) clock: Clock,
    /// A write acknowledged in them may be lost: not every replica had it.
    pub(crate) losses: Windows,
    /// Something is broken, or mends.
    pub(crate) faults: Windows,
    pub(crate) stop: AtomicBool,
    pub(crate) counts: Counts,
    pub(crate) late: Mutex<Vec<Late>>,
    suspicions: Mutex<Vec<Suspicion>>,
    /// Errors that no fault explains, with how many there were.
    strange: Mutex<BTreeMap<String, u64>>,
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) calls: AtomicU64,
    pub(crate) done: AtomicU64,
    pub(crate) no: AtomicU64,
    pub(crate) maybe: AtomicU64,
    pub(crate) dropped: AtomicU64,
    /// Errors while nothing was broken.
    pub(crate) calm: AtomicU64,
}

/// How a call ended.
#[derive(Debug)]
pub(crate) enum Outcome<T> {
    Done(T),
    /// It was not executed.
    No,
    /// It may have been executed.
    Maybe,
    /// Nobody waited for it; it may have been executed.
    Dropped,
}

impl Run {
    pub(crate) fn new() -> Self {
        Self {
            clock: Clock(Instant::now()),
            losses: Windows::default(),
            faults: Windows::default(),
            stop: AtomicBool::new(false),
            counts: Counts::default(),
            late: Mutex::default(),
            suspicions: Mutex::default(),
            strange: Mutex::default(),
        }
    }

    pub(crate) fn suspect(&self, suspicion: Option<Suspicion>) {
        lock(&self.suspicions).extend(suspicion);
    }

    /// What was seen during the run and is not forgiven.
    pub(crate) fn breaches(&self) -> Vec<String> {
        let strange = lock(&self.strange).iter().map(|(error, count)| format!("{count} times: {error}")).collect();
        let suspicions = lock(&self.suspicions);
        let confirmed = suspicions.iter().filter(|suspicion| suspicion.confirmed(&self.losses));
        [strange, confirmed.map(|suspicion| suspicion.what.clone()).collect::<Vec<_>>()].concat()
    }

    /// Errors while nothing was broken, unless the machine stood still meanwhile.
    pub(crate) fn errors_in_calm(&self, stood_still: Duration) -> Option<String> {
        let count = self.counts.calm.load(Ordering::Relaxed);
        (count > 0 && stood_still < DEADLINE / 2).then(|| format!("{count} errors while nothing was broken"))
    }

    fn ended<T>(&self, what: &str, begun: Instant, limit: Duration, reply: Option<Result<T>>) -> Outcome<T> {
        let counts = &self.counts;
        let (count, outcome) = match reply {
            None => (&counts.dropped, Outcome::Dropped),
            Some(Ok(value)) => (&counts.done, Outcome::Done(value)),
            Some(Err(error)) => {
                // Nothing that is done to the servers is a reason for any other kind.
                if !error.is_temporary() {
                    *lock(&self.strange).entry(format!("unexpected error: {error}")).or_default() += 1;
                } else if !self.faults.touches(self.clock.at(begun), self.clock.now()) {
                    counts.calm.fetch_add(1, Ordering::Relaxed);
                }
                match error.executed() {
                    Executed::No => (&counts.no, Outcome::No),
                    Executed::Maybe => (&counts.maybe, Outcome::Maybe),
                }
            }
        };
        count.fetch_add(1, Ordering::Relaxed);
        lock(&self.late).extend(Late::of(what, begun, Instant::now(), limit));
        outcome
    }
}

/// One who makes calls.
pub(crate) struct Caller {
    pub(crate) store: RedisStore,
    pub(crate) dice: Dice,
    pub(crate) run: Arc<Run>,
}

impl Caller {
    pub(crate) fn goes_on(&self) -> bool {
        !self.run.stop.load(Ordering::Relaxed)
    }

    /// Thinks for a while.
    pub(crate) async fn think(&mut self) {
        sleep(self.dice.micros(0..40_000)).await;
    }

    /// Makes a call that has to end in time, or leaves it at some moment.
    pub(crate) async fn call<T>(&mut self, what: &str, call: impl Future<Output = Result<T>>) -> Outcome<T> {
        let patience = if self.dice.one_in(16) { Some(self.dice.micros(0..3_000)) } else { None };
        self.call_within(what, DEADLINE, patience, call).await
    }

    pub(crate) async fn call_within<T>(
        &mut self,
        what: &str,
        limit: Duration,
        patience: Option<Duration>,
        call: impl Future<Output = Result<T>>,
    ) -> Outcome<T> {
        self.run.counts.calls.fetch_add(1, Ordering::Relaxed);
        let begun = Instant::now();
        let reply = match patience {
            None => Some(call.await),
            Some(patience) => timeout(patience, call).await.ok(),
        };
        self.run.ended(what, begun, limit, reply)
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kv_core::{Error, ErrorKind};

    #[test]
    fn an_error_that_no_fault_explains_is_a_breach() {
        let run = Run::new();
        let end = |kind| run.ended::<()>("get", Instant::now(), DEADLINE, Some(Err(Error::new(kind, "get"))));
        assert!(matches!(end(ErrorKind::Timeout), Outcome::Maybe));
        assert_eq!(run.breaches(), [""; 0]);
        let calm = run.errors_in_calm(Duration::ZERO);
        assert_eq!(calm.unwrap(), "1 errors while nothing was broken");
        run.faults.open(0, Duration::ZERO);
        end(ErrorKind::Unavailable);
        assert_eq!(run.counts.calm.load(Ordering::Relaxed), 1, "this one has a reason");
        assert!(matches!(end(ErrorKind::Auth), Outcome::No));
        assert_eq!(run.breaches(), ["1 times: unexpected error: get: not authorised"]);
    }
}
