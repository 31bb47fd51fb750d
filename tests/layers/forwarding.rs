//! Every layer hands on every method, once, with the arguments it got, and every accessor.

use super::{Passing, drive};
use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{
    Arg, AtomicBatch, BlockingStore, Capabilities, ConcurrencyLimit, Cursor, Deadline, End, KeyChanges, KvStore,
    Layered, Layers, Limits, Namespaced, Page, PubSub, Replication, Reply, Result, RetryPolicy, Retrying, ScanStore,
    Script, ScriptCall, ScriptStore, SetOptions, Subscription, Tracking, Ttl,
};
use redis_compress::{CompressOptions, Compressed};
use std::{
    borrow::Cow,
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

/// Writes down what it is asked, and has capabilities or not.
#[derive(Clone, Debug)]
pub(super) struct Recorder {
    capable: bool,
    calls: Arc<Mutex<Vec<String>>>,
    accessors: Arc<Mutex<BTreeSet<&'static str>>>,
}

impl Recorder {
    pub(super) fn new(capable: bool) -> Self {
        Self { capable, calls: Arc::default(), accessors: Arc::default() }
    }

    fn call(&self, name: &str, arguments: impl fmt::Debug) {
        self.calls.lock().unwrap().push(format!("{name} {arguments:?}"));
    }

    fn access(&self, name: &'static str) -> bool {
        self.accessors.lock().unwrap().insert(name);
        self.capable
    }

    fn names(&self) -> BTreeSet<String> {
        let calls = self.calls.lock().unwrap();
        let called = calls.iter().map(|call| call.split(' ').next().unwrap().to_owned());
        called.chain(self.accessors.lock().unwrap().iter().map(|&name| name.to_owned())).collect()
    }
}

#[async_trait]
impl KvStore for Recorder {
    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        self.call("get", key);
        Ok(None)
    }
    async fn get_range(&self, key: &str, offset: usize, len: usize) -> Result<Bytes> {
        self.call("get_range", (key, offset, len));
        Ok(Bytes::new())
    }
    async fn set(&self, key: &str, value: &[u8], options: SetOptions) -> Result<bool> {
        self.call("set", (key, value, options));
        Ok(true)
    }
    async fn delete(&self, keys: &[&str]) -> Result<u64> {
        self.call("delete", keys);
        Ok(1)
    }
    async fn exists(&self, key: &str) -> Result<bool> {
        self.call("exists", key);
        Ok(true)
    }
    async fn ttl(&self, key: &str) -> Result<Ttl> {
        self.call("ttl", key);
        Ok(Ttl::Missing)
    }
    async fn expire(&self, key: &str, ttl: Duration) -> Result<bool> {
        self.call("expire", (key, ttl));
        Ok(true)
    }
    async fn incr_by(&self, key: &str, delta: i64) -> Result<i64> {
        self.call("incr_by", (key, delta));
        Ok(delta)
    }
    async fn mget(&self, keys: &[&str]) -> Result<Vec<Option<Bytes>>> {
        self.call("mget", keys);
        Ok(vec![None; keys.len()])
    }
    async fn mset(&self, entries: &[(&str, &[u8])], ttl: Option<Duration>) -> Result<()> {
        self.call("mset", (entries, ttl));
        Ok(())
    }
    fn capabilities(&self) -> Capabilities {
        self.access("capabilities");
        let limits = Limits::default().max_value_bytes(12_345);
        Capabilities::default().limits(limits).lua(true).atomic_batch(AtomicBatch::PerSlot)
    }
    fn scripts(&self) -> Option<&dyn ScriptStore> {
        self.access("scripts").then_some(self)
    }
    fn pubsub(&self) -> Option<&dyn PubSub> {
        self.access("pubsub").then_some(self)
    }
    fn scan(&self) -> Option<&dyn ScanStore> {
        self.access("scan").then_some(self)
    }
    fn replication(&self) -> Option<&dyn Replication> {
        self.access("replication").then_some(self)
    }
    fn blocking(&self) -> Option<&dyn BlockingStore> {
        self.access("blocking").then_some(self)
    }
    fn tracking(&self) -> Option<&dyn Tracking> {
        self.access("tracking").then_some(self)
    }
}

#[async_trait]
impl ScriptStore for Recorder {
    async fn run(&self, script: &Script, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
        self.call("run", (script, keys, args));
        Ok(Reply::Nil)
    }
    async fn run_many(&self, script: &Script, calls: &[ScriptCall<'_>]) -> Result<Vec<Result<Reply>>> {
        self.call("run_many", (script, calls));
        Ok(Vec::new())
    }
    async fn eval(&self, lua: &str, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
        self.call("eval", (lua, keys, args));
        Ok(Reply::Nil)
    }
}

#[async_trait]
impl PubSub for Recorder {
    async fn publish(&self, channel: &str, payload: &[u8]) -> Result<u64> {
        self.call("publish", (channel, payload));
        Ok(1)
    }
    async fn subscribe(&self, channels: &[&str]) -> Result<Subscription> {
        self.call("subscribe", channels);
        Ok(Subscription::new(()).1)
    }
    async fn psubscribe(&self, patterns: &[&str]) -> Result<Subscription> {
        self.call("psubscribe", patterns);
        Ok(Subscription::new(()).1)
    }
    fn channel_name<'a>(&self, channel: &'a str) -> Cow<'a, str> {
        self.call("channel_name", channel);
        format!("renamed {channel}").into()
    }
}

#[async_trait]
impl ScanStore for Recorder {
    async fn scan_page(&self, prefix: &str, cursor: &Cursor, count: u32) -> Result<Page> {
        self.call("scan_page", (prefix, cursor, count));
        Ok(Page { keys: vec![], next: None })
    }
}

#[async_trait]
impl Replication for Recorder {
    async fn run_and_wait(
        &self,
        script: &Script,
        keys: &[&str],
        args: &[Arg<'_>],
        replicas: u32,
        wait: Duration,
    ) -> Result<(Reply, u32)> {
        self.call("run_and_wait", (script, keys, args, replicas, wait));
        Ok((Reply::Nil, replicas))
    }
}

#[async_trait]
impl BlockingStore for Recorder {
    async fn push(&self, key: &str, end: End, elements: &[&[u8]]) -> Result<u64> {
        self.call("push", (key, end, elements));
        Ok(1)
    }
    async fn pop(&self, keys: &[&str], end: End, wait: Duration) -> Result<Option<(String, Bytes)>> {
        self.call("pop", (keys, end, wait));
        Ok(None)
    }
    async fn move_to(&self, from: (&str, End), to: (&str, End), wait: Duration) -> Result<Option<Bytes>> {
        self.call("move_to", (from, to, wait));
        Ok(None)
    }
}

#[async_trait]
impl Tracking for Recorder {
    async fn track(&self, prefixes: &[&str]) -> Result<KeyChanges> {
        self.call("track", prefixes);
        Ok(Subscription::new(()).1)
    }
}

/// The methods of the traits, as they are written: those with a body of their own, too, which nothing forces a layer to hand on.
fn methods() -> BTreeSet<String> {
    let sources = [
        include_str!("../../crates/kv-core/src/store.rs"),
        include_str!("../../crates/kv-core/src/script.rs"),
        include_str!("../../crates/kv-core/src/pubsub.rs"),
        include_str!("../../crates/kv-core/src/scan.rs"),
        include_str!("../../crates/kv-core/src/blocking.rs"),
        include_str!("../../crates/kv-core/src/replication.rs"),
        include_str!("../../crates/kv-core/src/tracking.rs"),
    ];
    let traits = ["KvStore:", "ScriptStore:", "PubSub:", "ScanStore:", "BlockingStore:", "Replication:", "Tracking:"];
    let bodies = sources.iter().zip(traits).map(|(source, name)| {
        let (_, body) = source.split_once(&format!("pub trait {name}")).expect("the trait is there");
        body.split_once("\n}").expect("it ends").0
    });
    let names = bodies.flat_map(|body| {
        body.lines().filter_map(|line| {
            let signature = line.strip_prefix("    async fn ").or_else(|| line.strip_prefix("    fn "))?;
            Some(signature[..signature.find(['(', '<'])?].to_owned())
        })
    });
    names.collect()
}

type Wrap = fn(Recorder) -> Arc<dyn KvStore>;

const NAMESPACE: &str = "app";

/// Each layer over a recorder; those of the second list rename keys.
fn layers() -> Vec<(&'static str, Wrap)> {
    vec![
        #[cfg(feature = "obs")]
        ("Observed", |store| Arc::new(Layered::new(store, kv_core::Observed::new()))),
        ("Arc", |store| Arc::new(Arc::new(store))),
        ("Arc<dyn>", |store| Arc::new(Arc::new(store) as Arc<dyn KvStore>)),
        ("Layered", |store| Arc::new(Layered::new(store, Passing))),
        ("Retrying", |store| Arc::new(Layered::new(store, Retrying::new(RetryPolicy::default()).unwrap()))),
        ("Deadline", |store| Arc::new(Layered::new(store, Deadline::new(Duration::from_secs(1)).unwrap()))),
        ("ConcurrencyLimit", |store| Arc::new(Layered::new(store, ConcurrencyLimit::new(1).unwrap()))),
        ("Namespaced", |store| Arc::new(Namespaced::new(store, NAMESPACE).unwrap())),
        ("Compressed", |store| Arc::new(Compressed::new(store, CompressOptions::default()).unwrap())),
        ("Layers", |store| Layers::new().over(store).unwrap()),
        ("all Layers", |store| {
            let layers = Layers::new().retry(RetryPolicy::default()).deadline(Duration::from_secs(1));
            let layers = layers.concurrency(1).namespace(NAMESPACE);
            layers.codec(|store| Compressed::new(store, CompressOptions::default())).over(store).unwrap()
        }),
    ]
}

#[tokio::test]
async fn every_layer_forwards_every_method_once_as_it_is() {
    let bare = Recorder::new(true);
    drive(&bare).await;
    assert_eq!(bare.names(), methods(), "the test calls every method of every trait");
    let expected = bare.calls.lock().unwrap().clone();
    assert_eq!(expected.iter().map(|call| call.split(' ').next()).collect::<BTreeSet<_>>().len(), expected.len());
    for (name, wrap) in layers() {
        let beneath = Recorder::new(true);
        drive(&*wrap(beneath.clone())).await;
        let calls = beneath.calls.lock().unwrap().clone();
        let bare: Vec<_> = calls.iter().map(|call| call.replace(&format!("{NAMESPACE}:"), "")).collect();
        assert_eq!(bare, expected, "{name}");
        assert_eq!(beneath.names(), methods(), "{name}");
    }
}

#[test]
fn a_layer_has_the_capabilities_of_what_is_beneath() {
    for capable in [true, false] {
        for (name, wrap) in layers() {
            let beneath = Recorder::new(capable);
            let store = wrap(beneath.clone());
            let has = [
                store.scripts().is_some(),
                store.pubsub().is_some(),
                store.scan().is_some(),
                store.blocking().is_some(),
                store.tracking().is_some(),
            ];
            assert_eq!(has, [capable; 5], "{name}");
            let (mut expected, capabilities) = (beneath.capabilities(), store.capabilities());
            if name == "Namespaced" || name == "all Layers" {
                expected.limits.max_key_bytes -= NAMESPACE.len() + 1;
            }
            assert_eq!(capabilities, expected, "{name}");
            if let Some(pubsub) = store.pubsub() {
                assert!(pubsub.channel_name("news").starts_with("renamed "), "{name}");
            }
        }
    }
}
