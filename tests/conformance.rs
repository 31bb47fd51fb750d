//! The behaviours that users run against a backend of their own, on all of ours.

use crate::backend::Backend;
use kv_core::{
    AtomicBatch, KvStore, Limits, MemoryStore,
    conformance::{self, Need, Outcome, Report},
};
use kv_redis::{PoolOptions, RedisOptions, RedisStore, TlsOptions, redis::Client};
use std::sync::Arc;
use xtask::fixture::{Cluster, Sentinel, Server, TlsServer};

async fn conforms(store: impl KvStore + 'static) -> Report {
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
async fn resp2() {
    let report = conforms(Backend::redis("").await.store).await;
    use Need::{KeyLimit, NoBlocking, NoLua, NoPubSub, NoScan, NoScripts, ValueLimit};
    assert_eq!(skipped(&report), [ValueLimit, KeyLimit, NoLua, NoScripts, NoPubSub, NoScan, NoBlocking]);
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
    let options = RedisOptions::default().limits(limits);
    conforms(RedisStore::connect_with(&server.url(), options).await.unwrap()).await;
}

#[tokio::test]
async fn pool() {
    let server = Server::start().unwrap();
    let options = RedisOptions::default().pool(PoolOptions::default().max(4));
    conforms(RedisStore::connect_with(&server.url(), options).await.unwrap()).await;
}

#[tokio::test]
async fn tls() {
    let server = TlsServer::with_args(false, &[]).unwrap();
    let options = RedisOptions::default().tls(TlsOptions::default().ca_pem(server.certificates().ca_pem()));
    conforms(RedisStore::connect_with(&server.url(), options).await.unwrap()).await;
}

#[tokio::test]
async fn unix_socket() {
    let server = Server::with_args(&["--unixsocket", "redis.sock"]).unwrap();
    let url = format!("unix://{}", server.dir().join("redis.sock").display());
    conforms(RedisStore::connect(&url).await.unwrap()).await;
}

#[tokio::test]
async fn cluster() {
    let cluster = Cluster::start().unwrap();
    let store = RedisStore::connect(&cluster.url()).await.unwrap();
    assert_eq!(store.capabilities().atomic_batch, AtomicBatch::PerSlot);
    assert!(skipped(&conforms(store).await).contains(&Need::Counts));
}

#[tokio::test]
async fn sentinel() {
    let sentinel = Sentinel::start().unwrap();
    conforms(RedisStore::connect(&sentinel.url()).await.unwrap()).await;
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
    for name in ["absent_pubsub_is_refused", "absent_scan_is_refused", "absent_lists_are_refused"] {
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
