use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{
    Arg, BlockingStore, Capabilities, KvStore, KvStoreExt, PubSub, Replication, Reply, Result, ScanStore, Script,
    ScriptCall, ScriptStore, SetOptions, Ttl,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

/// A store whose scripts are told the time, on a server too, and whose keys outlive every test.
#[derive(Clone, Debug)]
pub(super) struct Timed {
    store: Arc<dyn KvStore>,
    now: Arc<AtomicI64>,
}

const HOUR: Arg<'static> = Arg::Int(3_600_000);

impl Timed {
    pub(super) fn new(store: Arc<dyn KvStore>, now: i64) -> Self {
        Self { store, now: Arc::new(AtomicI64::new(now)) }
    }

    pub(super) fn now(&self) -> i64 {
        self.now.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, now: i64) {
        self.now.store(now, Ordering::Relaxed);
    }

    /// The arguments with a TTL and a time of ours.
    fn told<'a>(&self, script: &Script, args: &[Arg<'a>]) -> Vec<Arg<'a>> {
        let (ttl, now) = match script.name() {
            "redis-ratelimit/check" | "redis-ratelimit/refund" => (3, 4),
            "redis-ratelimit/check_many" => (2, 3),
            _ => (4, 5),
        };
        let mut args = args.to_vec();
        assert!(args[now].to_bytes().is_empty(), "{}: the time is there", script.name());
        (args[ttl], args[now]) = (HOUR, Arg::Int(self.now()));
        args
    }
}

#[async_trait]
impl KvStore for Timed {
    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        self.store.get(key).await
    }

    async fn set(&self, key: &str, value: &[u8], options: SetOptions) -> Result<bool> {
        self.store.set(key, value, options).await
    }

    async fn delete(&self, keys: &[&str]) -> Result<u64> {
        self.store.delete(keys).await
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        self.store.exists(key).await
    }

    async fn ttl(&self, key: &str) -> Result<Ttl> {
        self.store.ttl(key).await
    }

    async fn expire(&self, key: &str, ttl: Duration) -> Result<bool> {
        self.store.expire(key, ttl).await
    }

    async fn incr_by(&self, key: &str, delta: i64) -> Result<i64> {
        self.store.incr_by(key, delta).await
    }

    async fn mget(&self, keys: &[&str]) -> Result<Vec<Option<Bytes>>> {
        self.store.mget(keys).await
    }

    async fn mset(&self, entries: &[(&str, &[u8])], ttl: Option<Duration>) -> Result<()> {
        self.store.mset(entries, ttl).await
    }

    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    fn scripts(&self) -> Option<&dyn ScriptStore> {
        Some(self)
    }

    fn pubsub(&self) -> Option<&dyn PubSub> {
        None
    }

    fn scan(&self) -> Option<&dyn ScanStore> {
        None
    }

    fn blocking(&self) -> Option<&dyn BlockingStore> {
        None
    }

    fn replication(&self) -> Option<&dyn Replication> {
        None
    }
    fn tracking(&self) -> Option<&dyn kv_core::Tracking> {
        None
    }
}

#[async_trait]
impl ScriptStore for Timed {
    async fn run(&self, script: &Script, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
        self.store.require_scripts("test")?.run(script, keys, &self.told(script, args)).await
    }

    async fn run_many(&self, script: &Script, calls: &[ScriptCall<'_>]) -> Result<Vec<Result<Reply>>> {
        let mut replies = Vec::new();
        for call in calls {
            replies.push(self.run(script, call.keys, call.args).await);
        }
        Ok(replies)
    }
}
