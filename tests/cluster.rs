//! A cluster: keys find their node, and the store finds the cluster whatever happens to it.

use crate::backend::{eventually, soon};
use kv_core::{
    Arg, AtomicBatch, BlockingStore, Cursor, End, ErrorKind, Event, KvStore, KvStoreExt, PubSub, Reply, ScanStore,
    ScriptStore, SetOptions, Ttl,
};
use kv_redis::{
    ReadFrom, RedisOptions, RedisStore, TlsOptions,
    redis::{self, AsyncCommands, cmd, pipe},
};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use xtask::fixture::Cluster;

const DEADLINE: Duration = Duration::from_secs(1);

fn options() -> RedisOptions {
    RedisOptions::default().deadline(DEADLINE).connect_timeout(DEADLINE)
}

async fn connect(cluster: &Cluster) -> RedisStore {
    RedisStore::connect_with(&cluster.url(), options()).await.unwrap()
}

/// Keys of many slots.
fn keys(count: usize) -> Vec<String> {
    (0..count).map(|at| format!("key{at}")).collect()
}

#[tokio::test]
async fn batches_are_split_by_slot_and_come_back_in_order() {
    let cluster = Cluster::start().unwrap();
    let store = connect(&cluster).await;
    assert_eq!(store.capabilities().atomic_batch, AtomicBatch::PerSlot);
    let keys = keys(100);
    let entries: Vec<(&str, &[u8])> = keys.iter().map(|key| (key.as_str(), key.as_bytes())).collect();
    store.mset(&entries, None).await.unwrap();
    let names: Vec<&str> = keys.iter().map(String::as_str).collect();
    let mut asked = names.clone();
    asked.push("missing");
    asked.push(names[3]);
    let found = store.mget(&asked).await.unwrap();
    for (name, value) in asked.iter().zip(&found) {
        assert_eq!(value.as_deref(), (*name != "missing").then_some(name.as_bytes()));
    }
    store.mset(&entries, Some(Duration::from_secs(60))).await.unwrap();
    assert!(matches!(store.ttl(names[7]).await.unwrap(), Ttl::Remaining(_)));
    assert_eq!(store.delete(&asked).await.unwrap(), 100);
    assert_eq!(store.mget(&names).await.unwrap(), vec![None; 100]);

    // The raw connection does the same with every command of redis-rs.
    let mut connection = store.connection();
    let mut batch = pipe();
    for key in &keys {
        batch.cmd("SET").arg(key).arg(key).ignore().cmd("GET").arg(key);
    }
    let replies: Vec<String> = batch.query_async(&mut connection).await.unwrap();
    assert_eq!(replies, keys);
    let size: u64 = cmd("DBSIZE").query_async(&mut connection).await.unwrap();
    assert_eq!(size, 100);
    let mut all: Vec<String> = connection.keys("*").await.unwrap();
    let mut expected = keys.clone();
    all.sort();
    expected.sort();
    assert_eq!(all, expected);
    let values: Vec<String> = connection.mget(&keys).await.unwrap();
    assert_eq!(values, keys);
    let scan: redis::RedisResult<redis::Value> = cmd("SCAN").arg(0).query_async(&mut connection).await;
    assert!(scan.is_err(), "one node's cursor is no answer");
    let (a, b): (i64, i64) =
        pipe().atomic().incr("{t}a", 1).incr("{t}b", 2).query_async(&mut connection).await.unwrap();
    assert_eq!((a, b), (1, 2));
    let crossing: redis::RedisResult<()> = pipe().atomic().incr("a", 1).incr("b", 2).query_async(&mut connection).await;
    assert!(crossing.is_err());

    // A walk sees the keys of all masters.
    let mut seen = BTreeSet::new();
    let mut cursor = Some(Cursor::start());
    while let Some(at) = cursor {
        let page = store.scan_page("key", &at, 10).await.unwrap();
        seen.extend(page.keys);
        cursor = page.next;
    }
    assert_eq!(seen, keys.iter().cloned().collect());

    // Scripts go where their keys are, and refuse to be in two places.
    let sum = store.eval("return redis.call('INCRBY', KEYS[1], ARGV[1])", &["n"], &[Arg::Int(5)]).await.unwrap();
    assert_eq!(sum, Reply::Int(5));
    let error = store.eval("return 1", &["a", "b"], &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let error = store.eval("return redis.call('GET', 'a') .. redis.call('GET', 'b')", &[], &[]).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Rejected | ErrorKind::InvalidInput | ErrorKind::InvalidConfig),
        "{error}"
    );
}

#[tokio::test]
async fn a_master_that_dies_is_replaced_by_its_replica() {
    let cluster = Cluster::start().unwrap();
    let store = connect(&cluster).await;
    let keys = keys(30);
    for key in &keys {
        store.set(key, b"1", SetOptions::default()).await.unwrap();
    }
    let dead = cluster.owner_of(cluster.slot_of(&keys[0]).unwrap()).unwrap();
    cluster.nodes()[dead].kill().unwrap();
    let started = Instant::now();
    for key in &keys {
        soon("written again", async {
            loop {
                let call = Instant::now();
                let outcome = store.set(key, b"2", SetOptions::default()).await;
                assert!(call.elapsed() < DEADLINE * 2, "{:?}", call.elapsed());
                match outcome {
                    Ok(_) => return,
                    Err(error) => assert!(error.is_temporary(), "{error}"),
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    // The old one comes back as a replica, and nobody is the worse for it.
    cluster.nodes()[dead].restart().unwrap();
    cluster.wait_ok().unwrap();
    for key in &keys {
        assert_eq!(store.get(key).await.unwrap().unwrap(), "2");
    }
}

#[tokio::test]
async fn slots_move_under_load_without_an_error_or_a_second_execution() {
    let cluster = Cluster::start().unwrap();
    let store = connect(&cluster).await;
    let keys = keys(50);
    let stop = Arc::new(tokio::sync::Notify::new());
    let calls = Arc::new(AtomicU64::new(0));
    let workers: Vec<_> = (0..16)
        .map(|worker| {
            let (store, keys, stop, calls) = (store.clone(), keys.clone(), stop.clone(), calls.clone());
            tokio::spawn(async move {
                let working = async {
                    for at in worker.. {
                        calls.fetch_add(1, Ordering::Relaxed);
                        store.incr_by(&keys[at % keys.len()], 1).await.unwrap();
                        let pair = ["{pair}a", "{pair}b"];
                        store.mget(&pair).await.unwrap();
                    }
                };
                tokio::select! {
                    () = stop.notified() => {}
                    () = working => {}
                }
            })
        })
        .collect();
    let (from, to) = (cluster.owner_of(0).unwrap(), cluster.owner_of(16_383).unwrap());
    store.mset(&[("{pair}a", b"1"), ("{pair}b", b"2")], None).await.unwrap();
    let cluster = tokio::task::spawn_blocking(move || {
        cluster.move_slots(0..=400, from, to).unwrap();
        for key in ["key1", "{pair}a"] {
            let slot = cluster.slot_of(key).unwrap();
            let to = if cluster.owner_of(slot).unwrap() == to { from } else { to };
            cluster.move_slots(slot..=slot, cluster.owner_of(slot).unwrap(), to).unwrap();
        }
        cluster
    })
    .await
    .unwrap();
    for _ in &workers {
        stop.notify_waiters();
    }
    for worker in workers {
        soon("a worker", worker).await.unwrap();
    }
    let names: Vec<&str> = keys.iter().map(String::as_str).collect();
    let counted = store.mget(&names).await.unwrap();
    let counted: u64 =
        counted.iter().flatten().map(|value| std::str::from_utf8(value).unwrap().parse::<u64>().unwrap()).sum();
    let called = calls.load(Ordering::Relaxed);
    assert!(counted <= called && counted + 16 >= called, "{counted} of {called}");
    assert!(store.stats().redirected > 0);
    drop(cluster);
}

#[tokio::test]
async fn a_slot_half_moved_is_asked_for_where_its_keys_are() {
    let cluster = Cluster::start().unwrap();
    let options = options().deadline(Duration::from_secs(2));
    let store = RedisStore::connect_with(&cluster.url(), options).await.unwrap();
    store.mset(&[("{s}a", b"1"), ("{s}b", b"2")], None).await.unwrap();
    let slot = cluster.slot_of("{s}").unwrap();
    let to = (cluster.owner_of(slot).unwrap() + 1) % 3;
    cluster.begin_move(slot, to).unwrap();
    cluster.move_key("{s}a").unwrap();
    assert_eq!(store.get("{s}a").await.unwrap().unwrap(), "1", "asked where it went");
    assert_eq!(store.get("{s}b").await.unwrap().unwrap(), "2", "and where it stayed");
    let error = store.mget(&["{s}a", "{s}b"]).await.unwrap_err();
    assert!(error.is_retryable(), "together they are nowhere: {error}");
    let replies: Vec<String> = pipe().get("{s}a").get("{s}b").query_async(&mut store.connection()).await.unwrap();
    assert_eq!(replies, ["1", "2"]);
    // A transaction goes to the one place that has its keys.
    let (one, two): (i64, i64) =
        pipe().atomic().incr("{s}a", 1).incr("{s}a", 2).query_async(&mut store.connection()).await.unwrap();
    assert_eq!((one, two), (2, 4));
    store.connection().decr::<_, _, ()>("{s}a", 3).await.unwrap();
    let (found, finished) = tokio::join!(store.mget(&["{s}a", "{s}b"]), async {
        tokio::task::spawn_blocking(move || {
            cluster.move_key("{s}b").and_then(|()| cluster.finish_move(slot)).map(|()| cluster)
        })
        .await
        .unwrap()
    });
    assert_eq!(found.unwrap(), [Some("1".into()), Some("2".into())], "it waits for the rest");
    drop(finished.unwrap());
}

#[tokio::test]
async fn a_wait_on_a_slot_that_moves_ends_in_time_or_goes_along() {
    let cluster = Cluster::start().unwrap();
    // Longer than a busy machine keeps a server from its turn.
    let deadline = Duration::from_secs(4);
    let options = RedisOptions::default().deadline(deadline).connect_timeout(deadline);
    let store = RedisStore::connect_with(&cluster.url(), options).await.unwrap();
    let slot = cluster.slot_of("{s}").unwrap();
    let to = (cluster.owner_of(slot).unwrap() + 1) % 3;
    cluster.begin_move(slot, to).unwrap();
    let started = Instant::now();
    let error = store.pop(&["{s}list"], End::Front, Duration::from_millis(200)).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(started.elapsed() < Duration::from_millis(200) + deadline * 2, "{:?}", started.elapsed());
    let (popped, finished) = tokio::join!(store.pop(&["{s}list"], End::Front, Duration::from_secs(5)), async {
        let cluster = tokio::task::spawn_blocking(move || cluster.finish_move(slot).map(|()| cluster)).await.unwrap();
        store.push("{s}list", End::Back, &[b"1"]).await.unwrap();
        cluster
    });
    assert_eq!(popped.unwrap().unwrap().1, "1");
    drop(finished.unwrap());
}

/// One round of this leaves a redis-rs cluster connection that never answers again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_connections_never_wedge_the_store_nor_repeat_a_call() {
    const TASKS: usize = 512;
    const ROUNDS: usize = 10;
    let cluster = Cluster::start().unwrap();
    let store = connect(&cluster).await;
    let calls = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let workers: Vec<_> = (0..TASKS)
        .map(|at| {
            let (store, calls, stop) = (store.clone(), calls.clone(), stop.clone());
            tokio::spawn(async move {
                let (key, mut succeeded) = (format!("counter{at}"), 0_u64);
                while !stop.load(Ordering::Relaxed) {
                    calls.fetch_add(1, Ordering::Relaxed);
                    let started = Instant::now();
                    let outcome = store.incr_by(&key, 1).await;
                    assert!(started.elapsed() < Duration::from_secs(5), "stuck for {:?}", started.elapsed());
                    match outcome {
                        Ok(_) => succeeded += 1,
                        Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
                    }
                }
                succeeded
            })
        })
        .collect();
    for _ in 0..ROUNDS {
        for node in cluster.nodes() {
            node.call(&["CLIENT", "KILL", "TYPE", "normal"]).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut succeeded = 0;
    for worker in workers {
        succeeded += soon("a task", worker).await.unwrap();
    }
    let names: Vec<String> = (0..TASKS).map(|at| format!("counter{at}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut counted = None;
    eventually("answers", || async { store.mget(&names).await.is_ok() }).await;
    counted.replace(store.mget(&names).await.unwrap());
    let executed: u64 = counted
        .unwrap()
        .iter()
        .flatten()
        .map(|value| std::str::from_utf8(value).unwrap().parse::<u64>().unwrap())
        .sum();
    let calls = calls.load(Ordering::Relaxed);
    assert!(succeeded <= executed && executed <= calls, "{succeeded} succeeded, {executed} executed, {calls} called");
    assert!(store.stats().retired >= 3 * ROUNDS as u64 / 2, "{:?}", store.stats());
}

#[tokio::test]
async fn reads_go_to_replicas_and_to_the_master_when_there_is_none() {
    let cluster = Cluster::start().unwrap();
    let store = RedisStore::connect_with(&cluster.url(), options().read_from(ReadFrom::Replicas)).await.unwrap();
    store.set("key", b"1", SetOptions::default()).await.unwrap();
    let master = cluster.owner_of(cluster.slot_of("key").unwrap()).unwrap();
    let replica = cluster.replica_of(master).unwrap();
    eventually("replicated", || async { store.get("key").await.unwrap().is_some() }).await;
    let reads = |node: usize| {
        let info = cluster.nodes()[node].call(&["INFO", "commandstats"]).unwrap();
        let info = info.text().unwrap();
        info.split("cmdstat_get:calls=")
            .nth(1)
            .map_or(0, |rest| rest.split(',').next().unwrap().parse::<u64>().unwrap())
    };
    let (before, mastered) = (reads(replica), reads(master));
    for _ in 0..20 {
        store.get("key").await.unwrap();
    }
    assert_eq!((reads(replica) - before, reads(master) - mastered), (20, 0));
    cluster.nodes()[replica].kill().unwrap();
    for _ in 0..5 {
        assert_eq!(store.get("key").await.unwrap().unwrap(), "1");
    }
}

#[tokio::test]
async fn messages_cross_the_cluster_and_survive_their_node() {
    let cluster = Cluster::start().unwrap();
    let store =
        RedisStore::connect_with(&cluster.url(), options().heartbeat(Duration::from_millis(200))).await.unwrap();
    let mut news = store.subscribe(&["news"]).await.unwrap();
    let mut patterned = store.psubscribe(&["ne?s"]).await.unwrap();
    let sharded = store.sharded_pubsub();
    let mut own = sharded.subscribe(&["{s}a", "{s}b"]).await.unwrap();
    assert!(sharded.subscribe(&["a", "b"]).await.is_err(), "two slots");
    for _ in 0..10 {
        store.publish("news", b"hello").await.unwrap();
    }
    sharded.publish("{s}b", b"sharded").await.unwrap();
    for _ in 0..10 {
        assert_eq!(soon("a message", news.next_message()).await.unwrap().payload, "hello");
    }
    let message = soon("a message", patterned.next_message()).await.unwrap();
    assert_eq!((message.pattern.as_deref(), &*message.channel), (Some("ne?s"), "news"));
    let message = soon("a message", own.next_message()).await.unwrap();
    assert_eq!((&*message.channel, &*message.payload), ("{s}b", &b"sharded"[..]));
    // The shard's slot moves: the subscription follows, and says so.
    let slot = cluster.slot_of("{s}a").unwrap();
    let from = cluster.owner_of(slot).unwrap();
    cluster.move_slots(slot..=slot, from, (from + 1) % 3).unwrap();
    assert_eq!(soon("the loss is told", own.next_event()).await, Some(Event::Gap));
    assert_eq!(soon("the mending is told", own.next_event()).await, Some(Event::Gap));
    sharded.publish("{s}a", b"again").await.unwrap();
    assert_eq!(soon("a message", own.next_message()).await.unwrap().payload, "again");
}

#[tokio::test]
async fn waits_go_to_the_node_of_their_list() {
    let cluster = Cluster::start().unwrap();
    let store = connect(&cluster).await;
    for at in 0..6 {
        let key = format!("list{at}");
        let keys = [key.as_str()];
        let (popped, pushed) = tokio::join!(store.pop(&keys, End::Front, Duration::from_secs(5)), async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            store.push(&key, End::Back, &[b"1"]).await
        });
        assert_eq!((popped.unwrap().unwrap().0, pushed.unwrap()), (key, 1));
    }
    let error = store.pop(&["a", "b"], End::Front, Duration::ZERO).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_partitioned_node_holds_up_its_own_keys_only() {
    let cluster = Cluster::start_behind_proxies().unwrap();
    let store = connect(&cluster).await;
    let keys = keys(30);
    for key in &keys {
        store.set(key, b"1", SetOptions::default()).await.unwrap();
    }
    let cut = cluster.owner_of(cluster.slot_of(&keys[0]).unwrap()).unwrap();
    cluster.proxies()[cut].black_hole();
    let others: Vec<&String> =
        keys.iter().filter(|key| cluster.owner_of(cluster.slot_of(key).unwrap()).unwrap() != cut).collect();
    let (slow, ()) = tokio::join!(store.get(&keys[0]), async {
        for key in &others {
            let started = Instant::now();
            assert_eq!(store.get(key).await.unwrap().unwrap(), "1");
            assert!(started.elapsed() < DEADLINE / 2);
        }
    });
    assert_eq!(slow.unwrap_err().kind(), ErrorKind::Timeout);
    cluster.proxies()[cut].pass().unwrap();
    eventually("back", || async { store.get(&keys[0]).await.is_ok() }).await;
}

#[tokio::test]
async fn a_cluster_that_encrypts() {
    let cluster = Cluster::tls().unwrap();
    let tls = TlsOptions::default().ca_pem(cluster.certificates().unwrap().ca_pem());
    let store = RedisStore::connect_with(&cluster.url(), options().tls(tls)).await.unwrap();
    for key in keys(20) {
        store.set_px(&key, b"1", Duration::from_secs(60)).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_no_cluster_is_refused() {
    let server = xtask::fixture::Server::start().unwrap();
    let url = server.url().replace("redis:", "redis-cluster:");
    let error = RedisStore::connect_with(&url, options()).await.unwrap_err();
    assert!(!error.is_temporary(), "{error}");
    let cluster = Cluster::start().unwrap();
    let node = RedisStore::connect_with(&cluster.urls()[0], options()).await.unwrap();
    let mut kinds = BTreeSet::new();
    for key in keys(20) {
        if let Err(error) = node.get(&key).await {
            kinds.insert(error.to_string());
        }
    }
    assert_eq!(kinds.len(), 1);
    assert!(kinds.first().unwrap().contains("the server is a cluster node"), "{kinds:?}");
}
