//! A server and memory report the same keys for the same calls.

use super::next_key;
use crate::backend::{cases, patient, soon};
use kv_core::{
    Condition,
    End::{self, Back, Front},
    KvStore, KvStoreExt, MemoryStore, SetOptions,
};
use kv_redis::RedisStore;
use proptest::prelude::*;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use xtask::fixture::Server;

const MINUTE: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
enum Step {
    Set(usize, Condition),
    Text(usize),
    Delete(usize, usize),
    Expire(usize),
    Increment(usize),
    SetTwo(usize, usize),
    Push(usize, End),
    Pop(usize, End),
    Move(usize, usize, End),
    Read(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let (key, end) = (|| 0..3usize, || prop_oneof![Just(Front), Just(Back)]);
    prop_oneof![
        (key(), prop_oneof![Just(Condition::Always), Just(Condition::IfAbsent), Just(Condition::IfPresent)])
            .prop_map(|(key, condition)| Step::Set(key, condition)),
        key().prop_map(Step::Text),
        (key(), key()).prop_map(|(one, two)| Step::Delete(one, two)),
        key().prop_map(Step::Expire),
        key().prop_map(Step::Increment),
        (key(), key()).prop_map(|(one, two)| Step::SetTwo(one, two)),
        (key(), end()).prop_map(|(key, end)| Step::Push(key, end)),
        (key(), end()).prop_map(|(key, end)| Step::Pop(key, end)),
        (key(), key(), end()).prop_map(|(from, to, end)| Step::Move(from, to, end)),
        key().prop_map(Step::Read),
    ]
}

async fn take(store: &dyn KvStore, step: &Step) {
    let key = |at: &usize| ["t:a", "t:b", "t:c"][*at];
    let lists = store.require_blocking("test").unwrap();
    // Errors are answers: what they report is compared, too.
    match step {
        Step::Set(at, condition) => {
            drop(store.set(key(at), b"1", SetOptions::default().condition(*condition)).await);
        }
        Step::Text(at) => drop(store.set(key(at), b"text", SetOptions::default().ttl(MINUTE)).await),
        Step::Delete(one, two) => drop(store.delete(&[key(one), key(two)]).await),
        Step::Expire(at) => drop(store.expire(key(at), MINUTE).await),
        Step::Increment(at) => drop(store.incr_by(key(at), 1).await),
        Step::SetTwo(one, two) => drop(store.mset(&[(key(one), b"1"), (key(two), b"2")], Some(MINUTE)).await),
        Step::Push(at, end) => drop(lists.push(key(at), *end, &[b"1", b"2"]).await),
        Step::Pop(at, end) => drop(lists.pop(&[key(at)], *end, Duration::ZERO).await),
        Step::Move(from, to, end) => drop(lists.move_to((key(from), *end), (key(to), *end), Duration::ZERO).await),
        Step::Read(at) => {
            drop(store.get(key(at)).await);
            drop(store.ttl(key(at)).await);
        }
    }
}

/// The keys that are reported for each step.
async fn reported(store: &dyn KvStore, steps: &[Step]) -> Vec<BTreeSet<Arc<str>>> {
    let mut changes = store.require_tracking("test").unwrap().track(&["t:"]).await.unwrap();
    let mut all = Vec::new();
    for step in steps {
        take(store, step).await;
        store.set("t:marker", b"", SetOptions::default()).await.unwrap();
        let mut seen = BTreeSet::new();
        loop {
            match next_key(&mut changes).await {
                key if &*key == "t:marker" => break,
                key => drop(seen.insert(key)),
            }
        }
        all.push(seen);
    }
    store.delete(&["t:a", "t:b", "t:c", "t:marker"]).await.unwrap();
    all
}

#[test]
fn a_server_and_memory_report_the_same() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = Server::start().unwrap();
    let redis = runtime.block_on(RedisStore::connect_with(&server.url(), patient())).unwrap();
    proptest!(cases(100), |(steps in prop::collection::vec(step(), 1..20))| {
        let memory = MemoryStore::new();
        let (here, there) = runtime.block_on(async {
            (reported(&memory, &steps).await, soon("a server", reported(&redis, &steps)).await)
        });
        prop_assert_eq!(here, there);
    });
}
