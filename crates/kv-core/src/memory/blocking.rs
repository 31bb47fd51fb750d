use super::{
    MemoryStore,
    waiters::{Outcome, Request},
};
use crate::{BlockingStore, End, Error, Limits, Result};
use async_trait::async_trait;
use bytes::Bytes;
use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

/// Waits are in tokio's time, whatever the store's clock shows, and whoever waits longest for a list is served first. What is taken for
/// a wait that is dropped goes to the next one, or back to where it was.
#[async_trait]
impl BlockingStore for MemoryStore {
    async fn push(&self, key: &str, end: End, elements: &[&[u8]]) -> Result<u64> {
        self.inner.limits.check_key("push", key)?;
        elements.iter().try_for_each(|element| self.inner.limits.check_value("push", element))?;
        if elements.is_empty() {
            return Err(Error::invalid_input("push", "no element given"));
        }
        let (pushed, woken) = {
            let (mut entries, now) = self.lock();
            (entries.push(key, end, elements, now), entries.serve(key, now))
        };
        woken.into_iter().for_each(Waker::wake);
        pushed.map_err(|error| error.with_operation("push"))
    }

    async fn pop(&self, keys: &[&str], end: End, wait: Duration) -> Result<Option<(String, Bytes)>> {
        let wait = self.check_wait("pop", keys, wait)?;
        let waiting = {
            let (mut entries, now) = self.lock();
            match entries.pop(keys, end, now) {
                Ok(None) if wait > Duration::ZERO => {
                    let keys = keys.iter().map(|key| (*key).to_owned()).collect();
                    Ok(entries.waiters.join(Request::Pop { keys, end }))
                }
                outcome => Err(outcome),
            }
        };
        let taken = self.outcome("pop", waiting, wait).await?;
        Ok(taken.map(|taken| (taken.key, taken.element)))
    }

    async fn move_to(&self, from: (&str, End), to: (&str, End), wait: Duration) -> Result<Option<Bytes>> {
        let wait = self.check_wait("move_to", &[from.0, to.0], wait)?;
        let (waiting, woken) = {
            let (mut entries, now) = self.lock();
            match entries.move_to(from, to, now) {
                Ok(None) if wait > Duration::ZERO => {
                    let (from, to) = ((from.0.to_owned(), from.1), (to.0.to_owned(), to.1));
                    (Ok(entries.waiters.join(Request::Move { from, to })), Vec::new())
                }
                outcome => (Err(outcome), entries.serve(to.0, now)),
            }
        };
        woken.into_iter().for_each(Waker::wake);
        let taken = self.outcome("move_to", waiting, wait).await?;
        Ok(taken.map(|taken| taken.element))
    }
}

impl MemoryStore {
    /// The wait in whole milliseconds.
    fn check_wait(&self, operation: &'static str, keys: &[&str], wait: Duration) -> Result<Duration> {
        self.inner.limits.check_keys(operation, keys)?;
        if keys.is_empty() {
            return Err(Error::invalid_input(operation, "no key given"));
        }
        if wait.is_zero() {
            return Ok(wait);
        }
        Ok(Duration::from_millis(Limits::ttl_millis(operation, wait)?.unsigned_abs()))
    }

    /// What came at once, or comes for a ticket in time.
    async fn outcome(&self, operation: &'static str, waiting: Result<u64, Outcome>, wait: Duration) -> Outcome {
        let outcome = match waiting {
            Err(outcome) => outcome,
            Ok(ticket) => {
                let mut waiting = Wait { store: self, ticket };
                // What is granted as time runs out counts.
                tokio::time::timeout(wait, &mut waiting).await.unwrap_or_else(|_| waiting.leave())
            }
        };
        outcome.map_err(|error| error.with_operation(operation))
    }
}

/// Waits for what is granted to a ticket.
struct Wait<'a> {
    store: &'a MemoryStore,
    ticket: u64,
}

impl Wait<'_> {
    fn leave(&self) -> Outcome {
        self.store.lock().0.waiters.leave(self.ticket)
    }
}

impl Future for Wait<'_> {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        self.store.lock().0.waiters.poll(self.ticket, context)
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let woken = {
            let (mut entries, now) = self.store.lock();
            match entries.waiters.leave(self.ticket) {
                Ok(Some(taken)) => entries.put_back(taken, now),
                _ => Vec::new(),
            }
        };
        woken.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KvStore;
    use std::pin::pin;

    const WAIT: Duration = Duration::from_secs(60);

    fn poll<T>(future: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn waits(store: &MemoryStore) -> bool {
        !store.lock().0.waiters.is_empty()
    }

    #[tokio::test]
    async fn a_wait_leaves_nothing_behind_however_it_ends() {
        let store = MemoryStore::new();
        for polls in 0..3 {
            let mut waiting = pin!(store.pop(&["a", "b", "a"], End::Front, WAIT));
            (0..polls).for_each(|_| assert!(poll(waiting.as_mut()).is_pending()));
            assert_eq!(waits(&store), polls > 0);
            waiting.set(store.pop(&["a"], End::Front, WAIT));
            assert!(!waits(&store), "dropped");
        }
        tokio::time::pause();
        assert_eq!(store.pop(&["a"], End::Front, WAIT).await.unwrap(), None);
        assert!(!waits(&store), "in vain");
        let (taken, pushed) = tokio::join!(store.pop(&["a"], End::Front, WAIT), store.push("a", End::Back, &[b"1"]));
        assert_eq!((taken.unwrap(), pushed.unwrap()), (Some(("a".to_owned(), "1".into())), 1));
        assert!(!waits(&store) && store.is_empty(), "served");
    }

    #[tokio::test]
    async fn what_was_granted_to_a_dropped_wait_is_as_if_it_was_never_taken() {
        let store = MemoryStore::new();
        let mut waiting = Box::pin(store.pop(&["a"], End::Back, WAIT));
        assert!(poll(waiting.as_mut()).is_pending());
        store.push("a", End::Back, &[b"1", b"2", b"3"]).await.unwrap();
        drop(waiting);
        for expected in ["3", "2", "1"] {
            assert_eq!(store.pop(&["a"], End::Back, Duration::ZERO).await.unwrap().unwrap().1, expected);
        }
    }

    #[tokio::test]
    async fn a_list_that_comes_back_has_the_ttl_it_had_and_dies_in_time() {
        for late in [false, true] {
            let store = MemoryStore::new();
            store.push("a", End::Back, &[b"1"]).await.unwrap();
            store.expire("a", WAIT).await.unwrap();
            let taken = {
                let (mut entries, now) = store.lock();
                entries.pop(&["a"], End::Front, now).unwrap().unwrap()
            };
            assert!(!store.exists("a").await.unwrap());
            if late {
                store.clock().advance(WAIT * 2);
            }
            let (mut entries, now) = store.lock();
            entries.put_back(taken, now);
            assert_eq!(entries.contains("a", now), !late);
            assert_eq!(entries.expires_at("a", now).flatten().is_some(), !late);
        }
    }
}
