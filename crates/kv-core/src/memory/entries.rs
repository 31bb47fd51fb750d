use super::{slots::Slots, trackers::Trackers, waiters::Waiters};
use crate::{Error, ErrorKind, Result};
use bytes::Bytes;
use std::{
    any::Any,
    collections::{HashMap, VecDeque},
    fmt,
    sync::Arc,
};

/// What a key holds: bytes, a list that is never empty, or a twin's own struct.
pub(super) enum Value {
    Bytes(Bytes),
    List(VecDeque<Bytes>),
    Twin(Box<dyn Any + Send>),
}

pub(super) struct Entry {
    pub(super) value: Value,
    expires_at: Option<i64>,
    slot: usize,
}

impl Entry {
    /// Redis keeps a key through the millisecond it expires in.
    fn is_live(&self, now: i64) -> bool {
        self.expires_at.is_none_or(|at| now <= at)
    }
}

/// Keys, values, expiry, who waits for a list, and who is told of changes; all times in milliseconds since 1970.
#[derive(Default)]
pub(super) struct Entries {
    map: HashMap<Arc<str>, Entry>,
    slots: Slots,
    pub(super) waiters: Waiters,
    pub(super) trackers: Trackers,
    /// The count of keys at which to look for expired ones: twice what the last sweep left.
    sweep_at: usize,
}

const FIRST_SWEEP: usize = 64;

impl Entries {
    pub(super) fn get(&mut self, key: &str, now: i64) -> Option<&mut Entry> {
        if !self.map.get(key)?.is_live(now) {
            self.forget(key);
        }
        self.map.get_mut(key)
    }

    pub(super) fn contains(&mut self, key: &str, now: i64) -> bool {
        self.get(key, now).is_some()
    }

    pub(super) fn bytes(&mut self, key: &str, now: i64) -> Result<Option<Bytes>> {
        match self.get(key, now).map(|entry| &entry.value) {
            None => Ok(None),
            Some(Value::Bytes(bytes)) => Ok(Some(bytes.clone())),
            Some(Value::List(_) | Value::Twin(_)) => Err(Error::new(ErrorKind::WrongType, "get")),
        }
    }

    pub(super) fn expires_at(&mut self, key: &str, now: i64) -> Option<Option<i64>> {
        self.get(key, now).map(|entry| entry.expires_at)
    }

    pub(super) fn set_expires_at(&mut self, key: &str, expires_at: Option<i64>, now: i64) -> bool {
        let found = self.get(key, now).map(|entry| entry.expires_at = expires_at).is_some();
        if found {
            self.trackers.report(key);
        }
        found
    }

    pub(super) fn insert(&mut self, key: &str, value: Value, expires_at: Option<i64>, now: i64) {
        if self.map.len() >= self.sweep_at.max(FIRST_SWEEP) {
            self.sweep(now);
        }
        match self.map.get_mut(key) {
            Some(old) => *old = Entry { value, expires_at, slot: old.slot },
            None => {
                let key: Arc<str> = key.into();
                let slot = self.slots.take(key.clone());
                self.map.insert(key, Entry { value, expires_at, slot });
            }
        }
        self.trackers.report(key);
    }

    pub(super) fn remove(&mut self, key: &str, now: i64) -> bool {
        self.contains(key, now) && self.forget(key)
    }

    fn forget(&mut self, key: &str) -> bool {
        let removed = self.map.remove(key).map(|entry| self.slots.free(entry.slot)).is_some();
        if removed {
            self.trackers.report(key);
        }
        removed
    }

    pub(super) fn incr_by(&mut self, key: &str, delta: i64, now: i64) -> Result<i64> {
        let old = match self.bytes(key, now)? {
            Some(bytes) => parse_integer(&bytes)
                .ok_or_else(|| Error::new(ErrorKind::WrongType, "incr_by").with_detail("value is not an integer"))?,
            None => 0,
        };
        let sum = old.checked_add(delta).ok_or_else(|| Error::invalid_input("incr_by", "increment would overflow"))?;
        let expires_at = self.expires_at(key, now).flatten();
        self.insert(key, Value::Bytes(sum.to_string().into()), expires_at, now);
        Ok(sum)
    }

    pub(super) fn sweep(&mut self, now: i64) {
        self.map.retain(|key, entry| {
            let live = entry.is_live(now);
            if !live {
                self.slots.free(entry.slot);
                self.trackers.report(key);
            }
            live
        });
        self.sweep_at = self.map.len() * 2;
    }

    pub(super) fn len(&self) -> usize {
        self.map.len()
    }

    /// How many places a scan has to look at.
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// The live keys in so many places from this one on.
    pub(super) fn keys_from(&self, at: usize, count: usize, now: i64) -> impl Iterator<Item = &str> {
        let live = move |key: &&str| self.map.get(*key).is_some_and(|entry| entry.is_live(now));
        self.slots.from(at, count).map(|key| &**key).filter(live)
    }
}

/// An integer exactly as Redis takes it: no sign but `-`, no leading zero, no space.
pub(super) fn parse_integer(bytes: &[u8]) -> Option<i64> {
    let parsed: i64 = std::str::from_utf8(bytes).ok()?.parse().ok()?;
    (parsed.to_string().as_bytes() == bytes).then_some(parsed)
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entries").field("len", &self.map.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expired_keys_that_nobody_touches_go_as_new_ones_come() {
        let mut entries = Entries::default();
        // Each key is new and lives for a millisecond: one is alive at any time.
        for now in 0..100_000 {
            entries.insert(&now.to_string(), Value::Bytes(Bytes::new()), Some(now), now);
            assert!(entries.map.len() <= 130, "{} keys held for one alive", entries.map.len());
        }
    }

    #[test]
    fn live_keys_are_kept_and_seldom_looked_through() {
        let mut entries = Entries::default();
        for key in 0..10_000 {
            entries.insert(&key.to_string(), Value::Bytes(Bytes::new()), None, 0);
        }
        assert_eq!(entries.len(), 10_000);
        assert!(entries.sweep_at >= 10_000);
    }
}
