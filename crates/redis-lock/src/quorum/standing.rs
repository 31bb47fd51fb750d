use std::{
    future::{Future, pending},
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::watch,
    time::{Instant, timeout_at},
};

#[derive(Clone, Copy, Debug)]
enum State {
    /// Surely until then, by the local clock.
    Held(Instant),
    Lost,
    /// Given back.
    Closed,
}

/// Whether a lock is held, as far as this process knows, for all who want to know. What is lost stays lost.
#[derive(Debug)]
pub(crate) struct Standing(watch::Sender<State>);

impl Standing {
    /// Of a lock that is not held yet.
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(State::Held(Instant::now())))
    }

    pub(crate) fn hold(&self, until: Instant) {
        self.0.send_replace(State::Held(until));
    }

    /// Says no if the lock was lost before, or the new lease is over already.
    pub(crate) fn prolong(&self, until: Instant) -> bool {
        let now = Instant::now();
        self.0.send_if_modified(|state| match state {
            State::Held(old) if now < *old && now < until => {
                *old = until.max(*old);
                true
            }
            _ => false,
        })
    }

    pub(crate) fn lose(&self) {
        self.end(State::Lost);
    }

    pub(crate) fn close(&self) {
        self.end(State::Closed);
    }

    fn end(&self, end: State) {
        self.0.send_if_modified(|state| {
            let held = matches!(state, State::Held(_));
            if held {
                *state = end;
            }
            held
        });
    }

    pub(crate) fn remaining(&self) -> Duration {
        match *self.0.borrow() {
            State::Held(until) => until.saturating_duration_since(Instant::now()),
            State::Lost | State::Closed => Duration::ZERO,
        }
    }

    pub(crate) fn is_held(&self) -> bool {
        !self.remaining().is_zero()
    }

    /// Ends when the lock is lost, and never once it is given back.
    pub(crate) fn lost(&self, runtime: Handle) -> impl Future<Output = ()> + Send + use<> {
        let mut states = self.0.subscribe();
        async move {
            loop {
                let state = *states.borrow_and_update();
                let changed = match state {
                    State::Held(until) if until > Instant::now() => {
                        // The timer runs there, wherever this is polled.
                        let _runtime = runtime.enter();
                        timeout_at(until, states.changed())
                    }
                    State::Held(_) | State::Lost => return,
                    State::Closed => return pending().await,
                };
                if let Ok(Err(_)) = changed.await {
                    return pending().await;
                }
            }
        }
    }
}
