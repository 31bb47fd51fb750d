mod blocking;
mod channels;
mod entries;
mod lists;
mod scan;
mod slots;
mod trackers;
mod twin;
mod waiters;

pub use twin::TwinContext;

use crate::{
    Arg, BlockingStore, Capabilities, Clock, Condition, Error, Executed, KvStore, Limits, PubSub, Replication, Reply,
    Result, ScanStore, Script, ScriptCall, ScriptStore, SetOptions, Subscription, Tracking, Ttl,
};
use async_trait::async_trait;
use bytes::Bytes;
use channels::{By, Channels};
use entries::{Entries, Value};
use std::{
    borrow::Cow,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

/// A complete store in this process: strings, lists to wait on, scans, scripts by their twins, publish and subscribe, word of changes, on a [`Clock`] of its own.
///
/// It behaves like one Redis server, down to the millisecond at which a key expires, and every operation is atomic. Clones
/// share their contents. Expired keys go when touched, and in a sweep whenever the keys are twice as many as the last sweep
/// left. Beyond the memory of the process nothing limits it, and nothing is
/// kept when the process ends.
///
/// ```
/// # use kv_core::*; use std::time::Duration;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// let store = MemoryStore::new();
/// store.set_px("session", b"ada", Duration::from_secs(30)).await?;
/// store.clock().advance(Duration::from_secs(31));
/// assert_eq!(store.get("session").await?, None);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    entries: Mutex<Entries>,
    channels: Channels,
    clock: Clock,
    limits: Limits,
}

impl MemoryStore {
    /// An empty store on a running clock.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store on the same clock that accepts this.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { inner: Arc::new(Inner { limits, clock: self.inner.clock.clone(), ..Inner::default() }) }
    }

    /// An empty store on this clock.
    pub fn with_clock(clock: Clock) -> Self {
        Self { inner: Arc::new(Inner { clock, ..Inner::default() }) }
    }

    /// The store's clock.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// How many live keys there are.
    pub fn len(&self) -> usize {
        let (mut entries, now) = self.lock();
        entries.sweep(now);
        entries.len()
    }

    /// Whether there is no live key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entries and the time in milliseconds. A panic in a twin leaves whole entries behind, so its poison is no harm.
    fn lock(&self) -> (MutexGuard<'_, Entries>, i64) {
        let entries = self.inner.entries.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        (entries, self.inner.clock.now_micros().div_euclid(1000))
    }
}

impl MemoryStore {
    fn listen(&self, operation: &'static str, by: By, names: &[&str]) -> Result<Subscription> {
        if names.is_empty() {
            return Err(Error::invalid_input(operation, "no channel given"));
        }
        self.inner.limits.check_keys(operation, names)?;
        Ok(self.inner.channels.subscribe(by, names))
    }
}

/// When a TTL from now ends, in milliseconds since 1970.
fn deadline(operation: &'static str, ttl: Option<Duration>, now: i64) -> Result<Option<i64>> {
    ttl.map(|ttl| Ok(now.saturating_add(Limits::ttl_millis(operation, ttl)?))).transpose()
}

#[async_trait]
impl KvStore for MemoryStore {
    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        self.inner.limits.check_key("get", key)?;
        let (mut entries, now) = self.lock();
        entries.bytes(key, now).map_err(|wrong| wrong.with_operation("get"))
    }

    async fn get_range(&self, key: &str, offset: usize, len: usize) -> Result<Bytes> {
        self.inner.limits.check_key("get_range", key)?;
        if len == 0 {
            return Ok(Bytes::new());
        }
        let (mut entries, now) = self.lock();
        let value = entries.bytes(key, now).map_err(|wrong| wrong.with_operation("get_range"))?.unwrap_or_default();
        let from = offset.min(value.len());
        // A copy: a part that is kept does not keep the whole.
        Ok(Bytes::copy_from_slice(&value[from..from.saturating_add(len).min(value.len())]))
    }

    async fn set(&self, key: &str, value: &[u8], options: SetOptions) -> Result<bool> {
        self.inner.limits.check_key("set", key)?;
        self.inner.limits.check_value("set", value)?;
        let (mut entries, now) = self.lock();
        let expires_at = deadline("set", options.ttl, now)?;
        let held = match options.condition {
            Condition::Always => true,
            Condition::IfAbsent => !entries.contains(key, now),
            Condition::IfPresent => entries.contains(key, now),
        };
        if held {
            entries.insert(key, Value::Bytes(Bytes::copy_from_slice(value)), expires_at, now);
        }
        Ok(held)
    }

    async fn delete(&self, keys: &[&str]) -> Result<u64> {
        self.inner.limits.check_keys("delete", keys)?;
        let (mut entries, now) = self.lock();
        Ok(keys.iter().filter(|key| entries.remove(key, now)).count() as u64)
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        self.inner.limits.check_key("exists", key)?;
        let (mut entries, now) = self.lock();
        Ok(entries.contains(key, now))
    }

    async fn ttl(&self, key: &str) -> Result<Ttl> {
        self.inner.limits.check_key("ttl", key)?;
        let (mut entries, now) = self.lock();
        Ok(match entries.expires_at(key, now) {
            None => Ttl::Missing,
            Some(None) => Ttl::Unlimited,
            Some(Some(at)) => Ttl::Remaining(Duration::from_millis(at.saturating_sub(now).max(0) as u64)),
        })
    }

    async fn expire(&self, key: &str, ttl: Duration) -> Result<bool> {
        self.inner.limits.check_key("expire", key)?;
        let (mut entries, now) = self.lock();
        let expires_at = deadline("expire", Some(ttl), now)?;
        Ok(entries.set_expires_at(key, expires_at, now))
    }

    async fn incr_by(&self, key: &str, delta: i64) -> Result<i64> {
        self.inner.limits.check_key("incr_by", key)?;
        let (mut entries, now) = self.lock();
        entries.incr_by(key, delta, now).map_err(|error| error.with_operation("incr_by"))
    }

    async fn mget(&self, keys: &[&str]) -> Result<Vec<Option<Bytes>>> {
        self.inner.limits.check_keys("mget", keys)?;
        let (mut entries, now) = self.lock();
        Ok(keys.iter().map(|key| entries.bytes(key, now).unwrap_or(None)).collect())
    }

    async fn mset(&self, values: &[(&str, &[u8])], ttl: Option<Duration>) -> Result<()> {
        for (key, value) in values {
            self.inner.limits.check_key("mset", key)?;
            self.inner.limits.check_value("mset", value)?;
        }
        let (mut entries, now) = self.lock();
        let expires_at = deadline("mset", ttl, now)?;
        for (key, value) in values {
            entries.insert(key, Value::Bytes(Bytes::copy_from_slice(value)), expires_at, now);
        }
        Ok(())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default().limits(self.inner.limits)
    }

    fn scripts(&self) -> Option<&dyn ScriptStore> {
        Some(self)
    }

    fn pubsub(&self) -> Option<&dyn PubSub> {
        Some(self)
    }

    fn scan(&self) -> Option<&dyn ScanStore> {
        Some(self)
    }

    fn blocking(&self) -> Option<&dyn BlockingStore> {
        Some(self)
    }

    fn replication(&self) -> Option<&dyn Replication> {
        None
    }

    fn tracking(&self) -> Option<&dyn Tracking> {
        Some(self)
    }
}

#[async_trait]
impl ScriptStore for MemoryStore {
    async fn run(&self, script: &Script, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
        self.inner.limits.check_call(script.name(), keys, args)?;
        let (mut entries, _) = self.lock();
        let now_micros = self.inner.clock.now_micros();
        let mut context = TwinContext::new(&mut entries, now_micros, &self.inner.channels);
        // As on a server, what the twin wrote before it failed stays.
        let failed = |error: Error| error.with_operation(script.name()).with_executed(Executed::Maybe);
        script.twin()(&mut context, keys, args).map_err(failed)
    }

    async fn run_many(&self, script: &Script, calls: &[ScriptCall<'_>]) -> Result<Vec<Result<Reply>>> {
        for call in calls {
            self.inner.limits.check_call(script.name(), call.keys, call.args)?;
        }
        let mut replies = Vec::with_capacity(calls.len());
        for call in calls {
            replies.push(self.run(script, call.keys, call.args).await);
        }
        Ok(replies)
    }
}

#[async_trait]
impl PubSub for MemoryStore {
    async fn publish(&self, channel: &str, payload: &[u8]) -> Result<u64> {
        self.inner.limits.check_key("publish", channel)?;
        self.inner.limits.check_value("publish", payload)?;
        Ok(self.inner.channels.publish(channel, &Bytes::copy_from_slice(payload)))
    }

    async fn subscribe(&self, channels: &[&str]) -> Result<Subscription> {
        self.listen("subscribe", By::Channel, channels)
    }

    /// A message is matched against each pattern in turn: a publication costs as much as there are patterns.
    async fn psubscribe(&self, patterns: &[&str]) -> Result<Subscription> {
        self.listen("psubscribe", By::Pattern, patterns)
    }

    fn channel_name<'a>(&self, channel: &'a str) -> Cow<'a, str> {
        channel.into()
    }
}
