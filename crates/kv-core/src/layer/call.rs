use crate::{Repeat, Result};
use std::{fmt, pin::Pin, time::Duration};

type Running<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// One call to a store, in the hands of an [`Around`](crate::Around).
///
/// It shows neither keys nor values: what is around every call is no place for either.
pub struct Call<'a, T> {
    name: &'static str,
    repeat: Repeat,
    wait: Duration,
    run: &'a mut (dyn FnMut() -> Running<'a, T> + Send + Sync + 'a),
}

impl<'a, T> Call<'a, T> {
    /// A call that answers as soon as it can.
    pub(super) fn new(
        name: &'static str,
        repeat: Repeat,
        run: &'a mut (dyn FnMut() -> Running<'a, T> + Send + Sync + 'a),
    ) -> Self {
        Self { name, repeat, wait: Duration::ZERO, run }
    }

    pub(super) fn with_wait(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    /// The method's name, `get`, or the script's, `redis-lock/acquire`. There are a few dozen of them: good for a label.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Which failures may be repeated.
    ///
    /// Reads, subscriptions, `expire`, `mset` and a `set` without a condition are idempotent. A writer that comes between
    /// two tries of a `set` is overwritten, as by one slow try. The answer of `delete` and of a conditional `set` tells
    /// who did it, so a second try would answer for another one; `incr_by`, scripts, `publish`, `push`, `pop` and
    /// `move_to` act each time.
    pub fn repeat(&self) -> Repeat {
        self.repeat
    }

    /// How long the call may wait by itself before it answers: that of `pop` and `move_to`, else zero.
    pub fn wait(&self) -> Duration {
        self.wait
    }

    /// Makes the call; each time anew.
    pub fn run(&mut self) -> impl Future<Output = Result<T>> + Send + use<'a, T> {
        (self.run)()
    }
}

impl<T> fmt::Debug for Call<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("name", &self.name)
            .field("repeat", &self.repeat)
            .field("wait", &self.wait)
            .finish_non_exhaustive()
    }
}
