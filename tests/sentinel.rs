//! Sentinels: the store is where the master is.

use crate::backend::{eventually, patient, soon};
use kv_core::{BlockingStore, End, ErrorKind, Event, KvStore, PubSub, SetOptions};
use kv_redis::{ReadFrom, RedisOptions, RedisStore};
use redis_lock::{LockError, LockManager, LockOptions, Release};
use std::time::{Duration, Instant};
use xtask::fixture::{Sentinel, SentinelOptions};

const DEADLINE: Duration = Duration::from_secs(1);

fn options() -> RedisOptions {
    RedisOptions::default().deadline(DEADLINE).connect_timeout(DEADLINE).heartbeat(Duration::from_millis(200))
}

async fn connect(sentinel: &Sentinel) -> RedisStore {
    RedisStore::connect_with(&sentinel.url(), options()).await.unwrap()
}

/// How long sentinels may take, who vote once more on a busy machine.
const FAILOVER: Duration = Duration::from_secs(9);

/// Writes until it works, and says how long that took; no call may outlive its deadline.
async fn write_again(store: &RedisStore) -> Duration {
    let started = Instant::now();
    eventually("it writes again", || async {
        let call = Instant::now();
        let outcome = store.set("key", b"2", SetOptions::default()).await;
        assert!(call.elapsed() < DEADLINE * 3, "{:?}", call.elapsed());
        outcome.is_ok()
    })
    .await;
    started.elapsed()
}

#[tokio::test]
async fn a_dead_master_is_left_for_its_successor() {
    let sentinel = Sentinel::start().unwrap();
    let store = connect(&sentinel).await;
    let mut news = store.subscribe(&["news"]).await.unwrap();
    store.set("key", b"1", SetOptions::default()).await.unwrap();
    let dead = sentinel.master().unwrap();
    sentinel.servers()[dead].kill().unwrap();
    let took = write_again(&store).await;
    assert!(took < FAILOVER, "{took:?}");
    sentinel.wait_ok().unwrap();
    assert_ne!(sentinel.master().unwrap(), dead);
    // Subscriptions follow, and say so.
    assert_eq!(soon("the loss", news.next_event()).await, Some(Event::Gap));
    eventually("heard again", || async { store.publish("news", b"hello").await.is_ok_and(|heard| heard > 0) }).await;
    assert_eq!(soon("a message", news.next_message()).await.unwrap().payload, "hello");
    store.push("list", End::Back, &[b"1"]).await.unwrap();
    assert!(store.pop(&["list"], End::Front, Duration::from_secs(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_planned_failover_is_followed_by_reads_too() {
    let sentinel = Sentinel::start().unwrap();
    let store = connect(&sentinel).await;
    store.set("key", b"1", SetOptions::default()).await.unwrap();
    for round in 0..2 {
        let new = sentinel.fail_over().unwrap();
        let took = write_again(&store).await;
        assert!(took < FAILOVER, "round {round}: {took:?}");
        let port: String = sentinel.servers()[new].port().to_string();
        let config: Vec<String> = {
            let mut get = kv_redis::redis::cmd("CONFIG");
            get.arg("GET").arg("port").query_async(&mut store.connection()).await.unwrap()
        };
        assert_eq!(config[1], port, "reads and writes go to the new master");
    }
}

#[tokio::test]
async fn a_master_that_hangs_is_left_for_its_successor() {
    let sentinel = Sentinel::start().unwrap();
    let store = connect(&sentinel).await;
    store.set("key", b"1", SetOptions::default()).await.unwrap();
    let hung = sentinel.master().unwrap();
    sentinel.servers()[hung].pause().unwrap();
    let took = write_again(&store).await;
    assert!(took < FAILOVER, "{took:?}");
    sentinel.servers()[hung].resume().unwrap();
    sentinel.wait_ok().unwrap();
    store.set("key", b"3", SetOptions::default()).await.unwrap();
}

#[tokio::test]
async fn most_sentinels_may_be_down_when_it_connects() {
    let sentinel = Sentinel::start().unwrap();
    sentinel.sentinels()[0].kill().unwrap();
    sentinel.sentinels()[1].pause().unwrap();
    let started = Instant::now();
    let store = connect(&sentinel).await;
    assert!(started.elapsed() < DEADLINE);
    store.set("key", b"1", SetOptions::default()).await.unwrap();
    sentinel.sentinels()[2].kill().unwrap();
    store.set("key", b"2", SetOptions::default()).await.unwrap();
    let error = RedisStore::connect_with(&sentinel.url(), options()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}

#[tokio::test]
async fn reads_go_to_a_replica_and_to_the_master_when_there_is_none() {
    let sentinel = Sentinel::start().unwrap();
    let store = RedisStore::connect_with(&sentinel.url(), patient().read_from(ReadFrom::Replicas)).await.unwrap();
    store.set("key", b"1", SetOptions::default()).await.unwrap();
    eventually("replicated", || async { store.get("key").await.unwrap().is_some() }).await;
    let master = sentinel.master().unwrap();
    let info = sentinel.servers()[master].call(&["INFO", "commandstats"]).unwrap();
    assert!(!info.text().unwrap().contains("cmdstat_get:"), "the master was asked for nothing");
    for (at, server) in sentinel.servers().iter().enumerate() {
        if at != master {
            server.kill().unwrap();
        }
    }
    for _ in 0..5 {
        assert_eq!(store.get("key").await.unwrap().unwrap(), "1");
    }
}

#[tokio::test]
async fn passwords_of_sentinels_and_servers_are_two_things() {
    let secrets = SentinelOptions::default().sentinel_password("watch").password("data");
    let sentinel = Sentinel::with_options(&secrets).unwrap();
    let url = |data: &str, watch: &str| {
        let url = sentinel.url().replace("redis-sentinel://", &format!("redis-sentinel://:{data}@"));
        format!("{url}&sentinelPassword={watch}")
    };
    let store = RedisStore::connect_with(&url("data", "watch"), options()).await.unwrap();
    store.set("key", b"1", SetOptions::default()).await.unwrap();
    for wrong in [url("data", "wrong"), url("wrong", "watch"), sentinel.url()] {
        let error = RedisStore::connect_with(&wrong, options()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
    }
}

#[tokio::test]
async fn a_name_nobody_watches_is_a_wrong_configuration() {
    let sentinel = Sentinel::start().unwrap();
    let url = sentinel.url().replace(sentinel.name(), "nobody");
    let error = RedisStore::connect_with(&url, options()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
    // A server is no sentinel.
    let server = format!("redis-sentinel://127.0.0.1:{}?sentinelServiceName=x", sentinel.servers()[0].port());
    let error = RedisStore::connect_with(&server, options()).await.unwrap_err();
    assert!(!error.is_temporary(), "{error}");
}

#[tokio::test]
async fn a_lock_counts_when_replicas_have_it() {
    let sentinel = Sentinel::start().unwrap();
    let store = std::sync::Arc::new(connect(&sentinel).await);
    let lock = |replicas, wait| {
        let options = LockOptions::default().wait_replicas(replicas, wait);
        LockManager::new(store.clone(), options).unwrap()
    };
    let guard = lock(2, Duration::from_secs(2)).try_acquire("job").await.unwrap().acquired().unwrap();
    assert_eq!(guard.release().await.unwrap(), Release::Released);
    let master = sentinel.master().unwrap();
    let replicas: Vec<_> = sentinel.servers().iter().enumerate().filter(|(at, _)| *at != master).collect();
    for (_, replica) in &replicas {
        replica.pause().unwrap();
    }
    let brief = lock(1, Duration::from_millis(50));
    for error in [
        brief.try_acquire("job").await.unwrap_err(),
        brief.acquire("job", Duration::from_secs(1)).await.unwrap_err(),
        brief.try_acquire_all(&["job", "other"]).await.unwrap_err(),
    ] {
        assert!(matches!(error, LockError::NotReplicated { acknowledged: 0 }), "{error}");
    }
    eventually("it is given back", || async { !store.exists("lock:{job}").await.unwrap() }).await;
    for (_, replica) in &replicas {
        replica.resume().unwrap();
    }
    let patient = lock(2, Duration::from_secs(5));
    assert!(soon("the replicas", patient.acquire("job", Duration::from_secs(5))).await.is_ok());
}
