//! The behaviours that users run against a backend of their own, on all of ours.

mod broken;
mod defect;

use crate::backend::{Backend, patient};
use broken::Broken;
use defect::{DEFECTS, Defect};
use kv_core::{
    AtomicBatch, KvStore, Limits, MemoryStore,
    conformance::{self, BEHAVIOURS, Behaviour, Need, Outcome, Report},
};
use kv_redis::{PoolOptions, RedisStore, TlsOptions, redis::Client};
use std::sync::Arc;
use tokio::{sync::Semaphore, task::JoinSet};
use xtask::fixture::{Cluster, Sentinel, Server, TlsServer};

/// One run at a time: each keeps a core busy, and the stores have deadlines.
static TURN: Semaphore = Semaphore::const_new(1);

async fn conforms(store: impl KvStore + 'static) -> Report {
    let _turn = TURN.acquire().await.unwrap();
    let report = conformance::run(Arc::new(store)).await;
    report.into_result().unwrap()
}

/// What a run found nothing to try for.
fn skipped(report: &Report) -> Vec<Need> {
    let mut needs: Vec<Need> = Vec::new();
    for (_, outcome) in report.outcomes() {
        if let Outcome::NotApplicable(need) = outcome
            && !needs.contains(need)
        {
            needs.push(*need);
        }
    }
    needs
}

#[tokio::test]
async fn memory() {
    conforms(MemoryStore::new()).await;
    let mut limits = Limits::default().max_value_bytes(30_000);
    limits.max_key_bytes = 100;
    let report = conforms(MemoryStore::new().with_limits(limits)).await;
    assert!(!skipped(&report).iter().any(|need| matches!(need, Need::ValueLimit | Need::KeyLimit)), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_on_two_threads() {
    conforms(MemoryStore::new()).await;
}

#[tokio::test]
async fn compressed_memory() {
    conforms(Backend::memory().compressed().store).await;
}

#[tokio::test]
async fn compressed_redis() {
    conforms(Backend::redis("").await.compressed().store).await;
}

#[tokio::test]
async fn resp2() {
    let report = conforms(Backend::redis("").await.store).await;
    use Need::{KeyLimit, NoBlocking, NoLua, NoPubSub, NoScan, NoScripts, NoTracking, ValueLimit};
    assert_eq!(skipped(&report), [ValueLimit, KeyLimit, NoLua, NoScripts, NoPubSub, NoScan, NoBlocking, NoTracking]);
}

#[tokio::test]
async fn resp3() {
    conforms(Backend::redis("?protocol=resp3").await.store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resp3_on_two_threads() {
    conforms(Backend::redis("?protocol=resp3").await.store).await;
}

#[tokio::test]
async fn limited() {
    let server = Server::start().unwrap();
    let mut limits = Limits::default().max_value_bytes(100_000);
    limits.max_key_bytes = 1000;
    let options = patient().limits(limits);
    conforms(RedisStore::connect_with(&server.url(), options).await.unwrap()).await;
}

#[tokio::test]
async fn pool() {
    let server = Server::start().unwrap();
    let options = patient().pool(PoolOptions::default().max(4));
    conforms(RedisStore::connect_with(&server.url(), options).await.unwrap()).await;
}

#[tokio::test]
async fn tls() {
    let server = TlsServer::with_args(false, &[]).unwrap();
    let options = patient().tls(TlsOptions::default().ca_pem(server.certificates().ca_pem()));
    conforms(RedisStore::connect_with(&server.url(), options).await.unwrap()).await;
}

#[tokio::test]
async fn unix_socket() {
    let server = Server::with_args(&["--unixsocket", "redis.sock"]).unwrap();
    let url = format!("unix://{}", server.dir().join("redis.sock").display());
    conforms(RedisStore::connect_with(&url, patient()).await.unwrap()).await;
}

#[tokio::test]
async fn cluster() {
    let cluster = Cluster::start().unwrap();
    let store = RedisStore::connect_with(&cluster.url(), patient()).await.unwrap();
    assert_eq!(store.capabilities().atomic_batch, AtomicBatch::PerSlot);
    assert!(skipped(&conforms(store).await).contains(&Need::Counts));
}

#[tokio::test]
async fn sentinel() {
    let sentinel = Sentinel::start().unwrap();
    conforms(RedisStore::connect_with(&sentinel.url(), patient()).await.unwrap()).await;
}

#[tokio::test]
async fn borrowed() {
    conforms(Backend::borrowed().await.store).await;
}

#[tokio::test]
async fn borrowed_without_a_url() {
    let server = Server::start().unwrap();
    let connection = Client::open(server.url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let report = conforms(RedisStore::from_connection(connection)).await;
    let absent = [
        "absent_pubsub_is_refused",
        "absent_scan_is_refused",
        "absent_lists_are_refused",
        "absent_tracking_is_refused",
    ];
    for name in absent {
        assert_eq!(report.outcome(name), Some(&Outcome::Passed), "{name}");
    }
}

/// Nothing is left behind on a server that others use.
#[tokio::test]
async fn a_run_leaves_no_key() {
    let backend = Backend::redis("").await;
    conforms(backend.store.clone()).await;
    let memory = MemoryStore::new();
    conforms(memory.clone()).await;
    assert!(memory.is_empty());
    let left = backend.run(&KEYS, &[], &[]).await.unwrap();
    assert_eq!(left, kv_core::Reply::Int(0));
}

static KEYS: kv_core::Script =
    kv_core::Script::new("test/keys", r#"return redis.call("DBSIZE")"#, |_, _, _| Ok(kv_core::Reply::Int(0)));

/// The wrapper of the broken stores breaks nothing by itself.
#[tokio::test]
async fn a_store_without_a_defect_conforms() {
    conforms(Broken::new(Arc::new(MemoryStore::new()), Defect::Nothing)).await;
    conforms(Broken::new(Backend::redis("").await.store, Defect::Nothing)).await;
}

#[tokio::test]
async fn every_behaviour_can_fail() {
    let redis = Backend::redis("").await;
    let _turn = TURN.acquire().await.unwrap();
    let (mut running, gate) = (JoinSet::new(), Arc::new(Semaphore::new(16)));
    for behaviour in BEHAVIOURS {
        let defects = DEFECTS.iter().filter(|(_, broken)| *broken == behaviour.name());
        assert!(defects.clone().count() > 0, "no defect breaks {}", behaviour.name());
        for (defect, _) in defects {
            let inner: Arc<dyn KvStore> = match behaviour.need() {
                Need::Lua | Need::Scan | Need::NoScan | Need::Blocking | Need::NoBlocking => redis.store.clone(),
                _ => Arc::new(MemoryStore::new()),
            };
            let store = Arc::new(Broken::new(inner, *defect));
            let gate = gate.clone();
            running.spawn(async move {
                let _place = gate.acquire().await.unwrap();
                (behaviour, defect, behaviour.check(store).await)
            });
        }
    }
    let mut kept = Vec::new();
    while let Some(done) = running.join_next().await {
        let (behaviour, defect, outcome) = done.unwrap();
        match outcome {
            Outcome::Failed(failure) if !["it hangs", "the store panicked"].contains(&&*failure.to_string()) => {}
            outcome => kept.push(format!("{} with {defect:?}: {outcome}", behaviour.name())),
        }
    }
    assert!(kept.is_empty(), "not found:\n{}", kept.join("\n"));
    let names: Vec<&str> = BEHAVIOURS.iter().map(Behaviour::name).collect();
    assert!(DEFECTS.iter().all(|(_, broken)| names.contains(broken)), "a defect of no behaviour");
}

/// A report of a broken store names what is broken, and an error of it too.
#[tokio::test]
async fn a_report_names_what_fails() {
    let store = Broken::new(Arc::new(MemoryStore::new()), Defect::CountsUpOnly);
    let report = conformance::run(Arc::new(store)).await;
    assert!(report.to_string().contains("incr_by_adds: failed: sum: 12, expected -2"), "{report}");
    let failure = report.into_result().unwrap_err();
    assert!(failure.to_string().contains("\n  incr_by_adds: sum: 12"), "{failure}");
}
