use crate::scripted::Scripted;
use async_trait::async_trait;
use kv_core::{Arg, KvStore, KvStoreExt, Reply, Result, Script, ScriptCall, ScriptStore};
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

/// Tells the scripts of a store the time, on a server too, and has keys outlive every test.
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

    /// The store whose scripts are told.
    pub(super) fn store(&self) -> Arc<dyn KvStore> {
        Scripted::by(self.store.clone(), Some(self.clone()))
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
