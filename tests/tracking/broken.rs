//! Links that break: a loss is told, and the link comes back.

use super::{next_key, put};
use crate::backend::{eventually, soon};
use kv_core::{Event, KeyChanges, KvStore, SetOptions, Tracking};
use kv_redis::{RedisOptions, RedisStore};
use std::{sync::Arc, time::Duration};
use xtask::{
    fixture::{Cluster, Sentinel, Server},
    resp::Reply,
};

pub(super) fn options() -> RedisOptions {
    let quick = Duration::from_millis(300);
    RedisOptions::default().deadline(quick).connect_timeout(quick).heartbeat(Duration::from_millis(200))
}

async fn connect(url: &str) -> RedisStore {
    RedisStore::connect_with(url, options()).await.unwrap()
}

/// The ids of the connections that track.
pub(crate) fn trackers(server: &Server) -> Vec<String> {
    let Reply::Bulk(Some(list)) = server.call(&["CLIENT", "LIST"]).unwrap() else { panic!("no list") };
    let list = String::from_utf8(list).unwrap();
    let field = |line: &str, name: &str| {
        line.split(' ').find_map(|field| field.strip_prefix(name)).map(str::to_owned).unwrap_or_default()
    };
    list.lines().filter(|line| field(line, "flags=").contains('B')).map(|line| field(line, "id=")).collect()
}

/// A loss is told at once, its mending too, and after that every change arrives.
async fn loses_and_recovers(changes: &mut KeyChanges, store: &RedisStore) {
    soon("the loss is told", async { while changes.next_event().await != Some(Event::Gap) {} }).await;
    recovers(changes, store).await;
}

async fn recovers(changes: &mut KeyChanges, store: &RedisStore) {
    while !changes.is_live() {
        assert_eq!(soon("the mending is told", changes.next_event()).await, Some(Event::Gap));
    }
    eventually("it writes", || async { store.set("key", b"2", SetOptions::default()).await.is_ok() }).await;
    soon("a change", async { while changes.next_event().await != Some(Event::Message("key".into())) {} }).await;
}

#[tokio::test]
async fn a_killed_link_is_replaced() {
    let server = Server::start().unwrap();
    let store = connect(&server.url()).await;
    let mut changes = store.track(&["key"]).await.unwrap();
    for _ in 0..3 {
        for id in trackers(&server) {
            server.call(&["CLIENT", "KILL", "ID", &id]).unwrap();
        }
        assert_eq!(soon("the loss is told", changes.next_event()).await, Some(Event::Gap));
        assert_eq!(soon("the mending is told", changes.next_event()).await, Some(Event::Gap));
        assert!(changes.is_live());
        assert_eq!(trackers(&server).len(), 1);
        put(&store, "key").await;
        assert_eq!(&*next_key(&mut changes).await, "key");
    }
}

#[tokio::test]
async fn a_server_that_dies_is_down_until_it_is_back() {
    let server = Server::start().unwrap();
    let store = connect(&server.url()).await;
    let mut changes = store.track(&["key"]).await.unwrap();
    assert!(changes.is_live());
    server.kill().unwrap();
    assert_eq!(soon("the loss is told", changes.next_event()).await, Some(Event::Gap));
    assert!(!changes.is_live());
    server.restart().unwrap();
    recovers(&mut changes, &store).await;
}

#[tokio::test]
async fn a_silent_link_is_found_and_replaced() {
    let server = Server::start().unwrap();
    let store = connect(&server.url()).await;
    let mut changes = store.track(&["key"]).await.unwrap();
    server.pause().unwrap();
    assert_eq!(soon("the probe fails", changes.next_event()).await, Some(Event::Gap));
    assert!(!changes.is_live());
    server.resume().unwrap();
    recovers(&mut changes, &store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_by_sentinels_is_followed_by_who_only_listens() {
    let sentinel = Sentinel::start().unwrap();
    let store = connect(&sentinel.url()).await;
    let mut changes = store.track(&["key"]).await.unwrap();
    let before = sentinel.master().unwrap();
    let after = tokio::task::block_in_place(|| sentinel.fail_over()).unwrap();
    loses_and_recovers(&mut changes, &store).await;
    let at = |at: usize| trackers(&sentinel.servers()[at]).len();
    eventually("it is at the new master", || async { (at(before), at(after)) == (0, 1) }).await;
    tokio::task::block_in_place(|| sentinel.servers()[after].kill()).unwrap();
    loses_and_recovers(&mut changes, &store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_others_replaced_is_left_though_it_answers() {
    let sentinel = Sentinel::start().unwrap();
    let store = connect(&sentinel.url()).await;
    let mut changes = store.track(&["key"]).await.unwrap();
    let before = sentinel.master().unwrap();
    // It knows of no failover, as if it was cut off from the sentinels and not from us.
    for command in ["REPLICAOF", "SLAVEOF"] {
        let refuse = ["ACL", "SETUSER", "default", &format!("-{}", command.to_lowercase())];
        sentinel.servers()[before].call(&refuse).unwrap();
    }
    let sentinel = Arc::new(sentinel);
    let failing = sentinel.clone();
    let failed =
        tokio::task::spawn_blocking(move || failing.sentinels()[0].call(&["SENTINEL", "FAILOVER", failing.name()]));
    assert_eq!(failed.await.unwrap().unwrap(), Reply::Status("OK".into()));
    soon("the loss is told", async { while changes.next_event().await != Some(Event::Gap) {} }).await;
    let others = || sentinel.servers().iter().enumerate().filter(|(at, _)| *at != before);
    let successor = || others().find(|(_, server)| trackers(server).len() == 1).map(|(_, server)| server);
    eventually("it is left for its successor", || async {
        trackers(&sentinel.servers()[before]).is_empty() && successor().is_some() && changes.is_live()
    })
    .await;
    successor().unwrap().call(&["SET", "key", "1"]).unwrap();
    assert_eq!(&*next_key(&mut changes).await, "key");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_in_a_cluster_is_found_by_who_only_listens() {
    let cluster = Arc::new(Cluster::start().unwrap());
    let store = connect(&cluster.url()).await;
    let mut changes = store.track(&["key"]).await.unwrap();
    assert_eq!(cluster.nodes().iter().map(|node| trackers(node).len()).sum::<usize>(), 3);
    let before = cluster.owner_of(cluster.slot_of("key").unwrap()).unwrap();
    let failing = cluster.clone();
    let after = tokio::task::spawn_blocking(move || failing.fail_over(before)).await.unwrap().unwrap();
    loses_and_recovers(&mut changes, &store).await;
    let at = |at: usize| trackers(&cluster.nodes()[at]).len();
    eventually("it is at the new master", || async { (at(before), at(after)) == (0, 1) }).await;
    drop(changes);
    eventually("they are gone", || async { cluster.nodes().iter().all(|node| trackers(node).is_empty()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_joins_a_cluster_or_leaves_it_is_a_gap() {
    let cluster = Arc::new(Cluster::start().unwrap());
    let store = connect(&cluster.url()).await;
    let mut changes = store.track(&["key"]).await.unwrap();
    let slot = cluster.slot_of("key").unwrap();
    let from = cluster.owner_of(slot).unwrap();
    // A replica becomes a master that has nothing yet.
    let joining = cluster.replica_of(from).unwrap();
    let text = |at: usize, command: &[&str]| match cluster.nodes()[at].call(command).unwrap() {
        Reply::Bulk(Some(text)) => String::from_utf8(text).unwrap(),
        reply => panic!("{command:?}: {reply:?}"),
    };
    cluster.nodes()[joining].call(&["CLUSTER", "RESET", "SOFT"]).unwrap();
    let nodes = text(from, &["CLUSTER", "NODES"]);
    let bus = nodes.lines().find(|line| line.contains("myself")).and_then(|line| line.split(['@', ' ', ',']).nth(2));
    let port = cluster.nodes()[from].port().to_string();
    cluster.nodes()[joining].call(&["CLUSTER", "MEET", "127.0.0.1", &port, bus.unwrap()]).unwrap();
    let [giver, taker] = [from, joining].map(|at| text(at, &["CLUSTER", "MYID"]));
    let number = slot.to_string();
    // Refused until they know each other.
    for (at, step) in [
        (joining, ["IMPORTING", &giver]),
        (from, ["MIGRATING", &taker]),
        (joining, ["NODE", &taker]),
        (from, ["NODE", &taker]),
    ] {
        eventually("the slot moves", || async {
            let reply = cluster.nodes()[at].call(&["CLUSTER", "SETSLOT", &number, step[0], step[1]]).unwrap();
            reply == Reply::Status("OK".into())
        })
        .await;
    }
    let links = || cluster.nodes().iter().map(|node| trackers(node).len()).sum::<usize>();
    loses_and_recovers(&mut changes, &store).await;
    assert_eq!(links(), 4);
    let moving = cluster.clone();
    tokio::task::spawn_blocking(move || moving.move_slots(slot..=slot, joining, from)).await.unwrap().unwrap();
    loses_and_recovers(&mut changes, &store).await;
    eventually("the link to who left is closed", || async { links() == 3 }).await;
}
