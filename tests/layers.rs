//! The layers of a store, one by one and all together.

mod concurrency;
mod forwarding;
mod namespaced;
#[cfg(feature = "obs")]
pub(crate) mod observed;
mod tries;

use crate::backend::Backend;
use forwarding::Recorder;
use kv_core::{
    Arg, Around, Call, Capabilities, Cursor, End, Error, ErrorKind, Executed, KvStore, KvStoreExt, Layered, Layers,
    MemoryStore, Reply, Result, RetryPolicy, Script, ScriptCall, SetOptions, conformance,
};
use redis_compress::{CompressOptions, Compressed};
use std::{
    collections::HashMap,
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::sleep;

const SECOND: Duration = Duration::from_secs(1);
const WAIT: Duration = Duration::from_secs(30);

static NOTHING: Script = Script::new("test/nothing", "return nil", |_, _, _| Ok(Reply::Nil));
static MANY: Script = Script::new("test/many", "return nil", |_, _, _| Ok(Reply::Nil));
static WAITED: Script = Script::new("test/waited", "return nil", |_, _, _| Ok(Reply::Nil));

/// Calls every method of every trait; an error is an answer, too.
async fn drive(store: &dyn KvStore) {
    let unlike = SetOptions::default().ttl(SECOND);
    let _ = store.get("key-get").await;
    let _ = store.get_range("key-get_range", 3, 4).await;
    let _ = store.set("key-set", b"value", unlike).await;
    let _ = store.delete(&["key-delete", "b"]).await;
    let _ = store.exists("key-exists").await;
    let _ = store.ttl("key-ttl").await;
    let _ = store.expire("key-expire", SECOND).await;
    let _ = store.incr_by("key-incr", 7).await;
    let _ = store.mget(&["key-mget", "b"]).await;
    let _ = store.mset(&[("key-mset", b"1"), ("b", b"2")], Some(SECOND)).await;
    let _ = store.capabilities();
    let scripts = store.scripts().unwrap();
    let _ = scripts.run(&NOTHING, &["key-run"], &[Arg::Int(1)]).await;
    let many = ScriptCall { keys: &["key-many"], args: &[Arg::Int(1)] };
    let _ = scripts.run_many(&MANY, &[many]).await;
    let _ = scripts.eval("return 1", &["key-eval"], &[Arg::Int(2)]).await;
    let pubsub = store.pubsub().unwrap();
    let _ = pubsub.publish("channel-publish", b"payload").await;
    let _ = pubsub.subscribe(&["channel-subscribe", "b"]).await;
    let _ = pubsub.psubscribe(&["channel-*", "b"]).await;
    let _ = pubsub.channel_name("channel-name");
    let _ = store.scan().unwrap().scan_page("prefix", &Cursor::new("place", 3), 10).await;
    let lists = store.blocking().unwrap();
    let _ = lists.push("key-push", End::Front, &[b"1", b"2"]).await;
    let _ = lists.pop(&["key-pop", "b"], End::Back, WAIT).await;
    let _ = lists.move_to(("key-from", End::Front), ("key-to", End::Back), WAIT).await;
    let _ = store.replication().unwrap().run_and_wait(&WAITED, &["key-wait"], &[Arg::Int(3)], 2, WAIT).await;
    let _ = store.tracking().unwrap().track(&["prefix-track", "b"]).await;
}

#[derive(Debug)]
struct Passing;

impl Around for Passing {
    async fn around<T: Send>(&self, mut call: Call<'_, T>) -> Result<T> {
        call.run().await
    }
}

/// Fails the first try of each call, and counts the tries.
#[derive(Clone, Debug)]
struct FailingOnce {
    executed: Executed,
    kind: ErrorKind,
    tries: Arc<Mutex<HashMap<&'static str, u32>>>,
}

impl FailingOnce {
    fn new(kind: ErrorKind, executed: Executed) -> Self {
        Self { kind, executed, tries: Arc::default() }
    }

    fn repeated(&self) -> Vec<&'static str> {
        let mut names: Vec<_> =
            self.tries.lock().unwrap().iter().filter(|(_, tries)| **tries > 1).map(|(name, _)| *name).collect();
        names.sort_unstable();
        names
    }
}

impl Around for FailingOnce {
    async fn around<T: Send>(&self, mut call: Call<'_, T>) -> Result<T> {
        let tries = *self.tries.lock().unwrap().entry(call.name()).and_modify(|tries| *tries += 1).or_insert(1);
        if tries == 1 {
            return Err(Error::new(self.kind, call.name()).with_executed(self.executed));
        }
        call.run().await
    }
}

/// Never answers; or takes as long as the call may wait.
#[derive(Debug)]
enum Slow {
    Never,
    ItsWait,
}

impl Around for Slow {
    async fn around<T: Send>(&self, mut call: Call<'_, T>) -> Result<T> {
        match self {
            Self::Never => pending().await,
            Self::ItsWait => sleep(call.wait()).await,
        }
        call.run().await
    }
}

fn quick() -> RetryPolicy {
    RetryPolicy::default().base(Duration::from_millis(1))
}

const IDEMPOTENT: [&str; 12] = [
    "exists",
    "expire",
    "get",
    "get_range",
    "mget",
    "mset",
    "psubscribe",
    "scan_page",
    "set",
    "subscribe",
    "track",
    "ttl",
];
const NOT: [&str; 10] =
    ["delete", "eval", "incr_by", "move_to", "pop", "publish", "push", "test/many", "test/nothing", "test/waited"];

#[tokio::test]
async fn the_order_of_the_layers_is_not_that_of_the_calls() {
    let layers = || Layers::new();
    let compressed = |store| Compressed::new(store, CompressOptions::default());
    let orders = [
        layers().codec(compressed).namespace("app").concurrency(2).deadline(SECOND).retry(quick()),
        layers().retry(quick()).deadline(SECOND).concurrency(2).namespace("app").codec(compressed),
    ];
    let debugs = orders.map(|layers| format!("{:?}", layers.over(MemoryStore::new()).unwrap()));
    let at = |name| debugs[0].find(name).unwrap_or_else(|| panic!("{name} in {}", debugs[0]));
    assert!(
        ["Retrying", "Deadline", "ConcurrencyLimit", "Namespaced", "Compressed", "MemoryStore"].is_sorted_by_key(at)
    );
    let without_time = |debug: &str| debug.split("MemoryStore").next().unwrap().to_owned();
    assert_eq!(without_time(&debugs[0]), without_time(&debugs[1]));
}

#[tokio::test]
async fn a_store_under_all_layers_keeps_the_contract() {
    for backend in [Backend::memory(), Backend::redis("").await] {
        let layers = Layers::new().retry(quick()).deadline(WAIT).concurrency(8).namespace("a*?[b]");
        #[cfg(feature = "obs")]
        let layers = layers.observe();
        let store =
            layers.codec(|store| Compressed::new(store, CompressOptions::default())).over(backend.store.clone());
        conformance::run(store.unwrap()).await.into_result().unwrap();
    }
}

#[test]
fn layers_that_cannot_be_are_refused_by_name() {
    for (layers, field) in [
        (Layers::new().retry(quick().max_attempts(0)), "retry.max_attempts"),
        (Layers::new().retry(quick().deadline(Duration::ZERO)), "retry.deadline"),
        (Layers::new().deadline(Duration::ZERO), "deadline"),
        (Layers::new().concurrency(0), "concurrency"),
        (Layers::new().concurrency(usize::MAX), "concurrency"),
        (Layers::new().namespace(""), "namespace"),
        (Layers::new().namespace("a{b"), "namespace"),
        (Layers::new().namespace("a}"), "namespace"),
        (Layers::new().codec(|store| Compressed::new(store, CompressOptions::default().level(0))), "level"),
    ] {
        let error = layers.over(MemoryStore::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert!(error.to_string().contains(field), "{error} names {field}");
    }
}

/// A layer may change on purpose what the store says of itself.
#[derive(Debug)]
struct WithoutLua;

impl Around for WithoutLua {
    async fn around<T: Send>(&self, mut call: Call<'_, T>) -> Result<T> {
        if call.name() == "eval" {
            return Err(Error::new(ErrorKind::Unsupported, call.name()));
        }
        call.run().await
    }

    fn capabilities(&self, beneath: Capabilities) -> Capabilities {
        beneath.lua(false)
    }
}

#[tokio::test]
async fn a_layer_of_ones_own_refuses_and_says_so() {
    let store = Layered::new(Recorder::new(true), WithoutLua);
    assert!(store.inner().capabilities().lua && !store.capabilities().lua);
    let error = store.require_scripts("test").unwrap().eval("return 1", &[], &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}
