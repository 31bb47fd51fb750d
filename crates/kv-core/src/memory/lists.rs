use super::{
    entries::{Entries, Value},
    waiters::Request,
};
use crate::{End, Error, ErrorKind, Result};
use bytes::Bytes;
use std::{collections::VecDeque, task::Waker};

/// An element that was taken for somebody.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) key: String,
    pub(super) element: Bytes,
    /// Where it goes when nobody comes for it: the end of its list, and the list's expiry; `None` for what was moved.
    back: Option<(End, Option<i64>)>,
}

impl Entries {
    /// The new length; whoever waits has to be [served](Self::serve) after that.
    pub(super) fn push(&mut self, key: &str, end: End, elements: &[&[u8]], now: i64) -> Result<u64> {
        let elements = elements.iter().map(|element| Bytes::copy_from_slice(element));
        self.extend(key, end, elements, None, now)
    }

    /// Takes an element from the first of the lists that has one.
    pub(super) fn pop(&mut self, keys: &[impl AsRef<str>], end: End, now: i64) -> Result<Option<Taken>> {
        for key in keys.iter().map(AsRef::as_ref) {
            let expires_at = self.expires_at(key, now).flatten();
            if let Some(element) = self.take(key, end, now)? {
                return Ok(Some(Taken { key: key.to_owned(), element, back: Some((end, expires_at)) }));
            }
        }
        Ok(None)
    }

    /// Like a push for the second list.
    pub(super) fn move_to(&mut self, from: (&str, End), to: (&str, End), now: i64) -> Result<Option<Taken>> {
        let element = if from.0 == to.0 {
            // In place, as a list of one would lose its TTL in between.
            let Some(list) = self.list(from.0, now)? else { return Ok(None) };
            let element = take(list, from.1);
            put(list, to.1, element.clone());
            self.trackers.report(to.0);
            element
        } else {
            // The second key matters once there is something to move.
            if self.list(from.0, now)?.is_none() {
                return Ok(None);
            }
            self.list(to.0, now)?;
            let element = self.take(from.0, from.1, now)?;
            self.extend(to.0, to.1, element.clone(), None, now)?;
            element
        };
        Ok(element.map(|element| Taken { key: to.0.to_owned(), element, back: None }))
    }

    /// Returns what nobody came for to where it was, or to whoever waits there by now.
    pub(super) fn put_back(&mut self, taken: Taken, now: i64) -> Vec<Waker> {
        let Some((end, expires_at)) = taken.back else { return Vec::new() };
        if expires_at.is_some_and(|at| now > at) && !self.contains(&taken.key, now) {
            return Vec::new();
        }
        // Whoever wrote something else under the key meanwhile would have overwritten the element, too.
        match self.extend(&taken.key, end, [taken.element], expires_at, now) {
            Ok(_) => self.serve(&taken.key, now),
            Err(_) => Vec::new(),
        }
    }

    /// Gives what a list has to those who wait for it, the longest first, and returns whom to wake once nothing is locked.
    pub(super) fn serve(&mut self, key: &str, now: i64) -> Vec<Waker> {
        let mut woken = Vec::new();
        let mut ready = VecDeque::from([key.to_owned()]);
        while let Some(key) = ready.pop_front() {
            while let Some((ticket, request)) = self.waiters.first(&key) {
                if !matches!(self.list(&key, now), Ok(Some(_))) {
                    break;
                }
                let outcome = match &*request {
                    // Of this list only: in another of theirs is a string, or what others have waited for longer.
                    Request::Pop { end, .. } => self.pop(&[&key], *end, now),
                    Request::Move { from, to } => self.move_to((&from.0, from.1), (&to.0, to.1), now),
                };
                // A move may be what others wait for.
                if let (Ok(Some(_)), Request::Move { to, .. }) = (&outcome, &*request) {
                    ready.push_back(to.0.clone());
                }
                woken.extend(self.waiters.grant(ticket, outcome));
            }
        }
        woken
    }

    fn list(&mut self, key: &str, now: i64) -> Result<Option<&mut VecDeque<Bytes>>> {
        match self.get(key, now).map(|entry| &mut entry.value) {
            None => Ok(None),
            Some(Value::List(list)) => Ok(Some(list)),
            Some(Value::Bytes(_) | Value::Twin(_)) => Err(Error::new(ErrorKind::WrongType, "list")),
        }
    }

    fn take(&mut self, key: &str, end: End, now: i64) -> Result<Option<Bytes>> {
        let Some(list) = self.list(key, now)? else { return Ok(None) };
        let element = take(list, end);
        if list.is_empty() {
            self.remove(key, now);
        } else {
            self.trackers.report(key);
        }
        Ok(element)
    }

    /// Adds to a list, which keeps its expiry unless it is new.
    fn extend(
        &mut self,
        key: &str,
        end: End,
        elements: impl IntoIterator<Item = Bytes>,
        expires_at: Option<i64>,
        now: i64,
    ) -> Result<u64> {
        if let Some(list) = self.list(key, now)? {
            put(list, end, elements);
            let len = list.len() as u64;
            self.trackers.report(key);
            return Ok(len);
        }
        let mut list = VecDeque::new();
        put(&mut list, end, elements);
        let len = list.len() as u64;
        // There are no empty lists.
        if len > 0 {
            self.insert(key, Value::List(list), expires_at, now);
        }
        Ok(len)
    }
}

fn take(list: &mut VecDeque<Bytes>, end: End) -> Option<Bytes> {
    match end {
        End::Front => list.pop_front(),
        End::Back => list.pop_back(),
    }
}

fn put(list: &mut VecDeque<Bytes>, end: End, elements: impl IntoIterator<Item = Bytes>) {
    match end {
        End::Front => elements.into_iter().for_each(|element| list.push_front(element)),
        End::Back => list.extend(elements),
    }
}
