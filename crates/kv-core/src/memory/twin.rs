use super::{
    channels::Channels,
    entries::{Entries, Value, parse_integer},
};
use crate::{Error, ErrorKind, Result};
use bytes::Bytes;
use std::{any::Any, fmt};

/// What a [`Twin`](crate::Twin) works with: the entries, their expiry, the time, and publish.
///
/// TTLs are in milliseconds, as scripts give them to Redis. Keys must be those of the call.
pub struct TwinContext<'a> {
    entries: &'a mut Entries,
    now_micros: i64,
    channels: &'a Channels,
}

impl<'a> TwinContext<'a> {
    pub(super) fn new(entries: &'a mut Entries, now_micros: i64, channels: &'a Channels) -> Self {
        Self { entries, now_micros, channels }
    }

    /// The time in microseconds since 1970: Redis' `TIME`.
    pub fn now_micros(&self) -> i64 {
        self.now_micros
    }

    fn now(&self) -> i64 {
        self.now_micros.div_euclid(1000)
    }

    fn deadline(&self, ttl_millis: Option<i64>) -> Option<i64> {
        ttl_millis.map(|ttl| self.now().saturating_add(ttl))
    }

    /// The bytes under a key, or [`ErrorKind::WrongType`].
    pub fn get(&mut self, key: &str) -> Result<Option<Bytes>> {
        let now = self.now();
        self.entries.bytes(key, now)
    }

    /// The bytes under a key as an integer, exactly as `INCR` would take it, or [`ErrorKind::WrongType`].
    pub fn integer(&mut self, key: &str) -> Result<Option<i64>> {
        self.get(key)?
            .map(|bytes| parse_integer(&bytes).ok_or_else(|| Error::new(ErrorKind::WrongType, "integer")))
            .transpose()
    }

    /// Writes bytes with a TTL; without one the key lives for ever.
    pub fn set(&mut self, key: &str, value: impl Into<Bytes>, ttl_millis: Option<i64>) {
        let (now, expires_at) = (self.now(), self.deadline(ttl_millis));
        self.entries.insert(key, Value::Bytes(value.into()), expires_at, now);
    }

    /// Adds to the integer under a key, as `INCRBY` does.
    pub fn incr_by(&mut self, key: &str, delta: i64) -> Result<i64> {
        let now = self.now();
        self.entries.incr_by(key, delta, now)
    }

    /// The struct a twin keeps under a key, or [`ErrorKind::WrongType`] when the key holds anything else.
    pub fn state<T: Any + Send>(&mut self, key: &str) -> Result<Option<&mut T>> {
        let now = self.now();
        // Whether it is written through the reference nobody can tell.
        if !self.entries.trackers.is_empty() && self.entries.contains(key, now) {
            self.entries.trackers.report(key);
        }
        match self.entries.get(key, now).map(|entry| &mut entry.value) {
            None => Ok(None),
            Some(Value::Twin(state)) => {
                state.downcast_mut().map(Some).ok_or_else(|| Error::new(ErrorKind::WrongType, "state"))
            }
            Some(Value::Bytes(_) | Value::List(_)) => Err(Error::new(ErrorKind::WrongType, "state")),
        }
    }

    /// Keeps a struct under a key, with a TTL.
    pub fn set_state<T: Any + Send>(&mut self, key: &str, state: T, ttl_millis: Option<i64>) {
        let (now, expires_at) = (self.now(), self.deadline(ttl_millis));
        self.entries.insert(key, Value::Twin(Box::new(state)), expires_at, now);
    }

    /// Whether a key is present, whatever it holds.
    pub fn exists(&mut self, key: &str) -> bool {
        let now = self.now();
        self.entries.contains(key, now)
    }

    /// Deletes a key; says whether it was there.
    pub fn delete(&mut self, key: &str) -> bool {
        let now = self.now();
        self.entries.remove(key, now)
    }

    /// The time a key has to live, in milliseconds; -1 without a TTL, -2 when absent: Redis' `PTTL`.
    pub fn pttl(&mut self, key: &str) -> i64 {
        let now = self.now();
        match self.entries.expires_at(key, now) {
            None => -2,
            Some(None) => -1,
            Some(Some(at)) => at.saturating_sub(now),
        }
    }

    /// Sets the TTL of a key that exists; says whether it does: Redis' `PEXPIRE`.
    pub fn pexpire(&mut self, key: &str, ttl_millis: i64) -> bool {
        let (now, expires_at) = (self.now(), self.deadline(Some(ttl_millis)));
        self.entries.set_expires_at(key, expires_at, now)
    }

    /// How many subscriptions name a channel, those by pattern not counted: Redis' `PUBSUB NUMSUB`.
    pub fn listeners(&self, channel: &str) -> u64 {
        self.channels.listeners(channel)
    }

    /// Publishes a message, and says how many subscribers got it.
    pub fn publish(&mut self, channel: &str, payload: impl Into<Bytes>) -> u64 {
        self.channels.publish(channel, &payload.into())
    }
}

impl fmt::Debug for TwinContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TwinContext").field("now_micros", &self.now_micros).finish_non_exhaustive()
    }
}
