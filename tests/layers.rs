mod forwarding;
mod namespaced;
#[cfg(feature = "obs")]
mod observed;

use crate::backend::eventually;
use forwarding::Recorder;
use kv_core::{
    Arg, Around, Call, Capabilities, ConcurrencyLimit, Condition, Cursor, Deadline, End, Error, ErrorKind, Executed,
    KvStore, KvStoreExt, Layered, Layers, MemoryStore, Reply, Result, RetryPolicy, Retrying, Script, SetOptions,
};
use redis_compress::{CompressOptions, Compressed};
use std::{
    collections::HashMap,
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    task::yield_now,
    time::{Instant, sleep},
};

const SECOND: Duration = Duration::from_secs(1);
const WAIT: Duration = Duration::from_secs(30);

static NOTHING: Script = Script::new("test/nothing", "return nil", |_, _, _| Ok(Reply::Nil));

/// Calls every method of every trait; an error is an answer, too.
async fn drive(store: &dyn KvStore) {
    let unlike = SetOptions::default().ttl(SECOND);
    let _ = store.get("key-get").await;
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

/// How many calls are under way; each stays so for two turns of the others.
#[derive(Clone, Debug, Default)]
struct UnderWay {
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    calls: Arc<AtomicUsize>,
}

struct One(Arc<AtomicUsize>);

impl Drop for One {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl Around for UnderWay {
    async fn around<T: Send>(&self, mut call: Call<'_, T>) -> Result<T> {
        self.calls.fetch_add(1, SeqCst);
        self.most.fetch_max(self.now.fetch_add(1, SeqCst) + 1, SeqCst);
        let _one = One(self.now.clone());
        yield_now().await;
        sleep(call.wait()).await;
        yield_now().await;
        call.run().await
    }
}

fn quick() -> RetryPolicy {
    RetryPolicy::default().base(Duration::from_millis(1))
}

const IDEMPOTENT: [&str; 10] =
    ["exists", "expire", "get", "mget", "mset", "psubscribe", "scan_page", "set", "subscribe", "ttl"];
const NOT: [&str; 8] = ["delete", "eval", "incr_by", "move_to", "pop", "publish", "push", "test/nothing"];

#[tokio::test(start_paused = true)]
async fn what_may_have_been_executed_is_repeated_only_where_that_is_harmless() {
    for (kind, executed, expected) in [
        (ErrorKind::Timeout, Executed::Maybe, IDEMPOTENT.to_vec()),
        (ErrorKind::Unavailable, Executed::No, [&IDEMPOTENT[..], &NOT].concat()),
        (ErrorKind::Rejected, Executed::Maybe, vec![]),
        (ErrorKind::InvalidInput, Executed::No, vec![]),
    ] {
        let failing = FailingOnce::new(kind, executed);
        let store = Layers::new().retry(quick()).over(Layered::new(Recorder::new(true), failing.clone())).unwrap();
        drive(&*store).await;
        let mut expected = expected;
        expected.sort_unstable();
        assert_eq!(failing.repeated(), expected, "{kind:?} {executed:?}");
        assert_eq!(failing.tries.lock().unwrap().len(), IDEMPOTENT.len() + NOT.len());
    }
}

#[tokio::test(start_paused = true)]
async fn a_set_on_a_condition_is_not_repeated() {
    for condition in [Condition::IfAbsent, Condition::IfPresent] {
        let failing = FailingOnce::new(ErrorKind::Timeout, Executed::Maybe);
        let store = Layered::new(MemoryStore::new(), failing.clone());
        let store = Layered::new(store, Retrying::new(quick()).unwrap());
        let error = store.set("key", b"1", SetOptions::default().condition(condition)).await.unwrap_err();
        assert_eq!((error.executed(), failing.repeated()), (Executed::Maybe, vec![]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_each_try_and_the_call_may_have_been_executed() {
    let store = Layered::new(Layered::new(Recorder::new(true), Slow::Never), Deadline::new(SECOND).unwrap());
    let began = Instant::now();
    let error = store.get("key").await.unwrap_err();
    assert_eq!((error.kind(), error.executed(), error.operation()), (ErrorKind::Timeout, Executed::Maybe, "get"));
    assert_eq!(began.elapsed().as_secs(), 1);
    let began = Instant::now();
    let error = store.blocking().unwrap().pop(&["list"], End::Front, WAIT).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Timeout, "pop"));
    assert_eq!(began.elapsed().as_secs(), 31, "what it may wait by itself comes on top");
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_an_element_is_cut_off_by_no_layer() {
    let store = Layered::new(Recorder::new(true), Slow::ItsWait);
    let store = Layers::new().retry(quick()).deadline(SECOND).over(store).unwrap();
    let lists = store.blocking().unwrap();
    assert_eq!(lists.pop(&["list"], End::Front, WAIT).await.unwrap(), None);
    assert_eq!(lists.move_to(("a", End::Front), ("b", End::Back), WAIT).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_is_that_of_a_try_and_the_policys_that_of_all() {
    let under_way = UnderWay::default();
    let store = Layered::new(Layered::new(MemoryStore::new(), Slow::Never), under_way.clone());
    let policy = quick().max_attempts(1000).deadline(SECOND * 10);
    let store = Layers::new().retry(policy).deadline(SECOND).over(store).unwrap();
    let began = Instant::now();
    let error = store.get("key").await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Timeout, "get"));
    assert_eq!(began.elapsed().as_secs(), 10);
    assert_eq!(under_way.calls.load(SeqCst), 10);
    let error = store.incr_by("key", 1).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Timeout, "incr_by"));
    assert_eq!(under_way.calls.load(SeqCst), 11);
}

#[tokio::test(start_paused = true)]
async fn so_many_calls_are_under_way_at_once() {
    let under_way = UnderWay::default();
    let store = Layered::new(Recorder::new(true), under_way.clone());
    let store = Layers::new().concurrency(3).over(store).unwrap();
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.get("key").await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!((under_way.most.load(SeqCst), under_way.now.load(SeqCst)), (3, 0));

    // Who waits for an element neither takes a turn nor waits for one.
    let waits: Vec<_> = (0..5)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.blocking().unwrap().pop(&["list"], End::Front, WAIT).await })
        })
        .collect();
    eventually("all wait", || async { under_way.now.load(SeqCst) == 5 }).await;
    store.get("key").await.unwrap();
    for wait in waits {
        wait.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_gives_its_turn_back() {
    let store = Layered::new(Layered::new(MemoryStore::new(), Slow::Never), ConcurrencyLimit::new(1).unwrap());
    for _ in 0..3 {
        // One is under way, the other waits for its turn; both are dropped.
        let both = async { tokio::join!(store.get("a"), store.get("b")) };
        assert!(tokio::time::timeout(SECOND, both).await.is_err());
    }
    let store = Layered::new(MemoryStore::new(), store.layer().clone());
    assert_eq!(store.get("key").await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_a_turn_counts_against_the_try() {
    let store = Layered::new(MemoryStore::new(), Slow::Never);
    let store = Layers::new().deadline(SECOND).concurrency(1).over(store).unwrap();
    let began = Instant::now();
    let (one, two) = tokio::join!(store.get("a"), store.get("b"));
    assert_eq!((one.unwrap_err().kind(), two.unwrap_err().kind()), (ErrorKind::Timeout, ErrorKind::Timeout));
    assert_eq!(began.elapsed().as_secs(), 1);
}

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
