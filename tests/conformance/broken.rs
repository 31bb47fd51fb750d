//! A store with one defect.

mod blocking;
mod pubsub;
mod scan;
mod scripts;
mod tracking;

use super::defect::Defect::{self, *};
use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{
    BlockingStore, Capabilities, Condition, Error, ErrorKind, KvStore, Limits, MemoryStore, PubSub, Replication,
    Result, ScanStore, ScriptStore, SetOptions, Tracking, Ttl,
};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::task::yield_now;

#[derive(Debug)]
pub(crate) struct Broken {
    inner: Arc<dyn KvStore>,
    defect: Defect,
    /// For scripts that go elsewhere.
    other: MemoryStore,
    flag: AtomicBool,
    asked: AtomicUsize,
    held: Mutex<Option<Vec<u8>>>,
}

impl Broken {
    pub(super) fn new(inner: Arc<dyn KvStore>, defect: Defect) -> Self {
        Self {
            inner,
            defect,
            other: MemoryStore::new(),
            flag: AtomicBool::new(false),
            asked: AtomicUsize::new(0),
            held: Mutex::new(None),
        }
    }

    fn has(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    fn name(&self, key: &str) -> String {
        if self.has(FoldsCase) { key.to_lowercase() } else { key.to_owned() }
    }

    /// The TTL as the defect has it.
    fn ttl_of(&self, ttl: Duration) -> Option<Duration> {
        match self.defect {
            RoundsTtlDown => Some(Duration::from_millis(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX))),
            CutsTtls => Some(ttl.min(Duration::from_millis(Limits::MAX_TTL_MILLIS))),
            ZeroTtlIsForEver if ttl.is_zero() => None,
            ExpiresNever if ttl < Duration::from_secs(1) => None,
            ExpiresEarly => Some(ttl / 1000),
            _ => Some(ttl),
        }
    }

    /// Whether a capability is away: the first time it is asked for, or always.
    fn away(&self, late: Defect) -> bool {
        self.has(late) && self.asked.fetch_add(1, SeqCst) == 0
    }
}

#[async_trait]
impl KvStore for Broken {
    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        if self.has(StaysBusyWhenDropped) {
            if self.flag.swap(true, SeqCst) {
                return Err(Error::new(ErrorKind::Unavailable, "get"));
            }
            yield_now().await;
            self.flag.store(false, SeqCst);
        }
        match (self.inner.get(&self.name(key)).await, self.defect) {
            (Ok(None), AbsentReadsEmpty) => Ok(Some(Bytes::new())),
            (Err(error), OtherTypesReadAbsent) if error.kind() == ErrorKind::WrongType => Ok(None),
            (Err(_), TakesEmptyKeys) => Ok(None),
            (Err(error), ErrorsOfAnotherName) => Err(error.with_operation("read")),
            (Ok(Some(value)), ReadsAreChanges) => {
                self.inner.set(key, &value, SetOptions::default().ttl(Duration::from_secs(60))).await?;
                Ok(Some(value))
            }
            (answer, _) => answer,
        }
    }

    async fn get_range(&self, key: &str, offset: usize, len: usize) -> Result<Bytes> {
        let more = usize::from(self.has(RangesIncludeTheirEnd));
        self.inner.get_range(&self.name(key), offset, len.saturating_add(more)).await
    }

    async fn set(&self, key: &str, value: &[u8], mut options: SetOptions) -> Result<bool> {
        let key = &self.name(key);
        options.ttl = options.ttl.and_then(|ttl| self.ttl_of(ttl));
        match (self.defect, options.condition) {
            (IgnoresIfAbsent, Condition::IfAbsent) | (IgnoresIfPresent, Condition::IfPresent) => {
                options.condition = Condition::Always;
            }
            (LooksThenSets, Condition::IfAbsent) => {
                let absent = !self.inner.exists(key).await?;
                yield_now().await;
                return Ok(absent && self.inner.set(key, value, options.condition(Condition::Always)).await?);
            }
            (SetKeepsTtl, _) => {
                if let Ttl::Remaining(left) = self.inner.ttl(key).await? {
                    options = options.ttl(left);
                }
            }
            _ => {}
        }
        let value =
            if self.has(LossyValues) { String::from_utf8_lossy(value).into_owned().into() } else { value.to_vec() };
        let done = self.inner.set(key, &value, options).await?;
        if let (false, RefusedSetTouchesTtl, Some(ttl)) = (done, self.defect, options.ttl) {
            self.inner.expire(key, ttl).await?;
        }
        Ok(done)
    }

    async fn delete(&self, keys: &[&str]) -> Result<u64> {
        if self.has(RefusesEmptyBatches) && keys.is_empty() {
            return Err(Error::invalid_input("delete", "no keys"));
        }
        let mut named = keys.to_vec();
        if self.has(DeletesStringsOnly) {
            named = self
                .inner
                .mget(keys)
                .await?
                .iter()
                .zip(keys)
                .filter(|(value, _)| value.is_some())
                .map(|(_, key)| *key)
                .collect();
        }
        let deleted = self.inner.delete(&named).await?;
        Ok(if self.has(CountsNamesOfDelete) { keys.len() as u64 } else { deleted })
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        if self.has(EmptyIsAbsent) {
            return Ok(self.inner.get(key).await?.is_some_and(|value| !value.is_empty()));
        }
        self.inner.exists(key).await
    }

    async fn ttl(&self, key: &str) -> Result<Ttl> {
        match self.inner.ttl(key).await? {
            Ttl::Unlimited if self.has(UnlimitedIsMissing) => Ok(Ttl::Missing),
            ttl => Ok(ttl),
        }
    }

    async fn expire(&self, key: &str, ttl: Duration) -> Result<bool> {
        let Some(ttl) = self.ttl_of(ttl) else { return self.inner.exists(key).await };
        Ok(self.inner.expire(key, ttl).await? || self.has(ExpireAlwaysDid))
    }

    async fn incr_by(&self, key: &str, delta: i64) -> Result<i64> {
        let stored =
            async |sum: i64| self.inner.set(key, sum.to_string().as_bytes(), SetOptions::default()).await.map(|_| sum);
        let read = async || {
            let text = self.inner.get(key).await?.unwrap_or_else(|| "0".into());
            Ok::<i64, Error>(String::from_utf8_lossy(&text).trim().parse().unwrap_or_default())
        };
        let answer = match self.defect {
            CountsInSteps => {
                let old = read().await?;
                yield_now().await;
                stored(old + delta).await
            }
            CountsUpOnly => self.inner.incr_by(key, delta.abs()).await,
            _ => self.inner.incr_by(key, delta).await,
        };
        match (answer, self.defect) {
            (Ok(sum), CountingRemovesTtl) => stored(sum).await,
            (Err(error), SumsWrap) if error.kind() == ErrorKind::InvalidInput => {
                stored(read().await?.wrapping_add(delta)).await
            }
            (Err(error), ParsesLeniently) if error.kind() == ErrorKind::WrongType => {
                stored(read().await? + delta).await
            }
            (Err(error), ErrorsShowKeys) => Err(error.with_detail(format!("at {key}"))),
            (answer, _) => answer,
        }
    }

    async fn mget(&self, keys: &[&str]) -> Result<Vec<Option<Bytes>>> {
        let mut named = keys.to_vec();
        match self.defect {
            SortsMget => named.sort_unstable(),
            MgetFailsOnOtherTypes => {
                for key in keys {
                    self.inner.get(key).await?;
                }
            }
            _ => {}
        }
        self.inner.mget(&named).await
    }

    async fn mset(&self, entries: &[(&str, &[u8])], ttl: Option<Duration>) -> Result<()> {
        let ttl = ttl.and_then(|ttl| self.ttl_of(ttl));
        let mut entries = entries.to_vec();
        match self.defect {
            MsetForgetsEmptyValues => entries.retain(|(_, value)| !value.is_empty()),
            MsetKeepsTheFirst => entries.reverse(),
            MsetForgetsTtl => return self.inner.mset(&entries, None).await,
            MsetInSteps => {
                for entry in entries {
                    self.inner.mset(&[entry], ttl).await?;
                    yield_now().await;
                }
                return Ok(());
            }
            _ => {}
        }
        self.inner.mset(&entries, ttl).await
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.inner.capabilities();
        if self.has(ForgetsLimits) {
            capabilities.limits.max_value_bytes = 30_000;
            capabilities.limits.max_key_bytes = 100;
        }
        capabilities.lua(capabilities.lua || self.has(LuaWithoutScripts))
    }

    fn scripts(&self) -> Option<&dyn ScriptStore> {
        if self.has(LuaWithoutScripts) {
            return None;
        }
        self.inner.scripts().map(|_| self as &dyn ScriptStore)
    }

    fn pubsub(&self) -> Option<&dyn PubSub> {
        if self.away(PubSubComesLate) {
            return None;
        }
        self.inner.pubsub().map(|_| self as &dyn PubSub)
    }

    fn scan(&self) -> Option<&dyn ScanStore> {
        if self.away(ScanComesLate) {
            return None;
        }
        self.inner.scan().map(|_| self as &dyn ScanStore)
    }

    fn replication(&self) -> Option<&dyn Replication> {
        None
    }
    fn blocking(&self) -> Option<&dyn BlockingStore> {
        if self.away(ListsComeLate) {
            return None;
        }
        self.inner.blocking().map(|_| self as &dyn BlockingStore)
    }
    fn tracking(&self) -> Option<&dyn Tracking> {
        if self.away(TrackingComesLate) {
            return None;
        }
        self.inner.tracking().map(|_| self as &dyn Tracking)
    }
}
