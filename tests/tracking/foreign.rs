//! Changes that no store of ours makes.

use super::{next_key, put};
use crate::backend::{eventually, patient, soon};
use kv_core::{ErrorKind, Event, Executed, KvStore, Tracking};
use kv_redis::{
    RedisStore,
    redis::{cmd, pipe},
};
use std::{collections::HashSet, time::Duration};
use xtask::{fixture::Server, resp::Reply};

async fn connect(server: &Server) -> RedisStore {
    RedisStore::connect_with(&server.url(), patient()).await.unwrap()
}

#[tokio::test]
async fn whoever_changes_a_key_by_whatever_command_is_reported() {
    let server = Server::start().unwrap();
    let store = connect(&server).await;
    let mut changes = store.track(&["k:"]).await.unwrap();
    let commands: &[(&[&str], &[&str])] = &[
        (&["SET", "k:a", "1"], &["k:a"]),
        (&["APPEND", "k:a", "2"], &["k:a"]),
        (&["HSET", "k:h", "f", "1"], &["k:h"]),
        (&["HDEL", "k:h", "f"], &["k:h"]),
        (&["XADD", "k:x", "*", "f", "1"], &["k:x"]),
        (&["SETBIT", "k:b", "7", "1"], &["k:b"]),
        (&["PERSIST", "k:a"], &[]),
        (&["RENAME", "k:a", "k:z"], &["k:a", "k:z"]),
        (&["COPY", "k:z", "k:y"], &["k:y"]),
        (&["EVAL", "redis.call('SET', 'k:e', 1) redis.call('DEL', 'k:y')", "0"], &["k:e", "k:y"]),
        (&["SET", "other", "1"], &[]),
        (&["GETEX", "k:e", "PX", "100000"], &["k:e"]),
        (&["GETDEL", "k:e"], &["k:e"]),
    ];
    for (at, (command, expected)) in commands.iter().enumerate() {
        let reply = server.call(command).unwrap();
        assert!(!matches!(reply, Reply::Error(_)), "{command:?}: {reply:?}");
        let marker = format!("k:marker{at}");
        put(&store, &marker).await;
        let mut seen = HashSet::new();
        loop {
            let key = next_key(&mut changes).await;
            if *key == *marker {
                break;
            }
            seen.insert(key.to_string());
        }
        assert_eq!(seen, expected.iter().map(|key| (*key).to_owned()).collect(), "{command:?}");
    }
}

#[tokio::test]
async fn many_keys_of_one_push_are_all_reported() {
    let server = Server::start().unwrap();
    let store = connect(&server).await;
    let mut changes = store.track(&["a", "b"]).await.unwrap();
    let mut transaction = pipe();
    transaction.atomic();
    let mut expected: HashSet<String> = (0..50).flat_map(|at| [format!("a{at}"), format!("b{at}")]).collect();
    for key in &expected {
        transaction.set(key, 1);
    }
    let _: () = transaction.query_async(&mut store.connection()).await.unwrap();
    while !expected.is_empty() {
        expected.remove(&*next_key(&mut changes).await);
    }
}

#[tokio::test]
async fn keys_of_every_database_are_reported_and_a_flush_of_any_is_a_gap() {
    let server = Server::start().unwrap();
    let store = connect(&server).await;
    let other = RedisStore::connect_with(&format!("{}/1", server.url()), patient()).await.unwrap();
    let mut changes = store.track(&["k"]).await.unwrap();
    put(&other, "key").await;
    assert_eq!(&*next_key(&mut changes).await, "key");
    for flush in [&["FLUSHDB"][..], &["FLUSHALL"], &["FLUSHALL", "ASYNC"]] {
        let _: () = cmd(flush[0]).arg(&flush[1..]).query_async(&mut other.connection()).await.unwrap();
        assert_eq!(soon("a gap", changes.next_event()).await, Some(Event::Gap), "{flush:?}");
        assert!(changes.is_live());
        put(&store, "key").await;
        assert_eq!(&*next_key(&mut changes).await, "key", "{flush:?}");
    }
}

#[tokio::test]
async fn what_is_evicted_is_reported() {
    let server = Server::with_args(&["--maxmemory", "3mb", "--maxmemory-policy", "allkeys-random"]).unwrap();
    let store = connect(&server).await;
    let mut changes = store.track(&["k"]).await.unwrap();
    let mut reports = std::collections::HashMap::<String, u32>::new();
    let (value, count) = (vec![0; 10_000], 400);
    for at in 0..count {
        store.set(&format!("k{at}"), &value, kv_core::SetOptions::default()).await.unwrap();
        while let Ok(Some(event)) = tokio::time::timeout(Duration::ZERO, changes.next_event()).await {
            let Event::Message(key) = event else { panic!("a gap") };
            *reports.entry(key.to_string()).or_default() += 1;
        }
    }
    let mut gone = 0;
    for at in 0..count {
        let key = format!("k{at}");
        if store.exists(&key).await.unwrap() {
            continue;
        }
        gone += 1;
        // Once for the write, once for the eviction.
        while reports.get(&key).copied().unwrap_or_default() < 2 {
            *reports.entry(next_key(&mut changes).await.to_string()).or_default() += 1;
        }
    }
    assert!(gone > 10, "{gone} are gone");
}

#[tokio::test]
async fn a_server_that_cannot_track_is_unsupported_and_one_that_may_not_is_told_apart() {
    let without = [
        Server::with_args(&["--rename-command", "CLIENT", ""]).unwrap(),
        Server::with_args(&["--rename-command", "HELLO", ""]).unwrap(),
    ];
    for server in without {
        let error = connect(&server).await.track(&["k"]).await.unwrap_err();
        assert_eq!((error.kind(), error.executed()), (ErrorKind::Unsupported, Executed::No), "{error}");
    }
    let user = ["--user", "app", "on", ">secret", "~*", "&*", "+@all", "-client|tracking"];
    let server = Server::with_args(&user).unwrap();
    let url = format!("redis://app:secret@127.0.0.1:{}", server.port());
    let error = RedisStore::connect_with(&url, patient()).await.unwrap().track(&["k"]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
    let error = connect(&server).await.track(&[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    server.kill().unwrap();
    let store = RedisStore::connect_with(&url, patient()).await;
    assert!(store.is_err_and(|error| error.is_temporary()));
}

#[tokio::test]
async fn who_is_dropped_leaves_no_connection() {
    let server = Server::start().unwrap();
    let store = connect(&server).await;
    let changes = [store.track(&["a"]).await.unwrap(), store.track(&["b"]).await.unwrap()];
    assert_eq!(super::broken::trackers(&server).len(), 2);
    drop(changes);
    eventually("they are gone", || async { super::broken::trackers(&server).is_empty() }).await;
    // A call that is dropped half way leaves none either.
    for polls in 0..10 {
        let mut tracking = store.track(&["a"]);
        for _ in 0..polls {
            if tokio::time::timeout(Duration::from_micros(200), &mut tracking).await.is_ok() {
                break;
            }
        }
    }
    eventually("they are gone", || async { super::broken::trackers(&server).is_empty() }).await;
}
