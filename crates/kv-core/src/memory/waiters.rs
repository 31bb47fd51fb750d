use super::lists::Taken;
use crate::{End, Result};
use std::{
    collections::{BTreeSet, HashMap},
    mem,
    sync::Arc,
    task::{Context, Poll, Waker},
};

/// What somebody waits for.
#[derive(Debug)]
pub(super) enum Request {
    Pop { keys: Vec<String>, end: End },
    Move { from: (String, End), to: (String, End) },
}

/// What came of a wait.
pub(super) type Outcome = Result<Option<Taken>>;

/// Who waits for which list. Whoever pops or pushes holds the same lock: what is granted is in exactly one place at any time.
#[derive(Default)]
pub(super) struct Waiters {
    /// Tickets are numbered in the order of arrival.
    next: u64,
    waiters: HashMap<u64, Waiter>,
    queues: HashMap<String, BTreeSet<u64>>,
}

enum Waiter {
    Waiting(Arc<Request>, Waker),
    Granted(Outcome),
}

impl Request {
    fn keys(&self) -> &[String] {
        match self {
            Self::Pop { keys, .. } => keys,
            Self::Move { from, .. } => std::slice::from_ref(&from.0),
        }
    }
}

impl Waiters {
    /// Queues up behind all who wait for the same lists.
    pub(super) fn join(&mut self, request: Request) -> u64 {
        let ticket = self.next;
        self.next += 1;
        for key in request.keys() {
            self.queues.entry(key.clone()).or_default().insert(ticket);
        }
        self.waiters.insert(ticket, Waiter::Waiting(Arc::new(request), Waker::noop().clone()));
        ticket
    }

    /// Who has waited longest for a list.
    pub(super) fn first(&self, key: &str) -> Option<(u64, Arc<Request>)> {
        let ticket = *self.queues.get(key)?.first()?;
        match self.waiters.get(&ticket)? {
            Waiter::Waiting(request, _) => Some((ticket, request.clone())),
            Waiter::Granted(_) => None,
        }
    }

    /// Ends a wait with an outcome that is to be fetched; returns whom to tell.
    pub(super) fn grant(&mut self, ticket: u64, outcome: Outcome) -> Option<Waker> {
        let waiter = mem::replace(self.waiters.get_mut(&ticket)?, Waiter::Granted(outcome));
        let Waiter::Waiting(request, waker) = waiter else { return None };
        self.unqueue(ticket, &request);
        Some(waker)
    }

    /// Fetches the outcome, or has this task told of it.
    pub(super) fn poll(&mut self, ticket: u64, context: &Context<'_>) -> Poll<Outcome> {
        if let Some(Waiter::Waiting(_, waker)) = self.waiters.get_mut(&ticket) {
            waker.clone_from(context.waker());
            return Poll::Pending;
        }
        Poll::Ready(self.leave(ticket))
    }

    /// Ends a wait; returns what was granted and not fetched.
    pub(super) fn leave(&mut self, ticket: u64) -> Outcome {
        match self.waiters.remove(&ticket) {
            None => Ok(None),
            Some(Waiter::Granted(outcome)) => outcome,
            Some(Waiter::Waiting(request, _)) => {
                self.unqueue(ticket, &request);
                Ok(None)
            }
        }
    }

    fn unqueue(&mut self, ticket: u64, request: &Request) {
        for key in request.keys() {
            if let Some(queue) = self.queues.get_mut(key) {
                queue.remove(&ticket);
                if queue.is_empty() {
                    self.queues.remove(key);
                }
            }
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.waiters.is_empty() && self.queues.is_empty()
    }
}
