//! Calls that wait: on lanes of their own, and without a lost element.

use crate::backend::{eventually, soon};
use kv_core::{BlockingStore, End, ErrorKind, KvStore, SetOptions};
use kv_redis::{
    RedisOptions, RedisStore,
    redis::{self, AsyncCommands, RedisResult, cmd, pipe},
};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};
use xtask::fixture::Server;

const DEADLINE: Duration = Duration::from_secs(1);

async fn connect(server: &Server) -> RedisStore {
    RedisStore::connect_with(&server.url(), RedisOptions::default().deadline(DEADLINE)).await.unwrap()
}

#[tokio::test]
async fn a_wait_holds_up_nobody() {
    let server = Server::start().unwrap();
    let store = connect(&server).await;
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.pop(&["a", "b"], End::Front, Duration::from_secs(20)).await }
    });
    for _ in 0..20 {
        let started = Instant::now();
        store.set("key", b"1", SetOptions::default()).await.unwrap();
        assert!(started.elapsed() < DEADLINE);
    }
    store.push("b", End::Back, &[b"1", b"2"]).await.unwrap();
    let taken = soon("an element", waiting).await.unwrap().unwrap().unwrap();
    assert_eq!((&*taken.0, &*taken.1), ("b", &b"1"[..]));
}

#[tokio::test]
async fn a_wait_ends_in_time_and_takes_nothing() {
    let server = Server::start().unwrap();
    let store = connect(&server).await;
    let started = Instant::now();
    assert_eq!(store.pop(&["a"], End::Back, Duration::from_millis(500)).await.unwrap(), None);
    assert!(
        (Duration::from_millis(500)..Duration::from_millis(900)).contains(&started.elapsed()),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(store.pop(&["a"], End::Back, Duration::ZERO).await.unwrap(), None);
    store.push("a", End::Back, &[b"1"]).await.unwrap();
    let moved = store.move_to(("a", End::Front), ("b", End::Back), Duration::ZERO).await.unwrap();
    assert_eq!(moved.unwrap(), "1");
    store.set("text", b"1", SetOptions::default()).await.unwrap();
    assert_eq!(store.pop(&["text"], End::Back, Duration::ZERO).await.unwrap_err().kind(), ErrorKind::WrongType);
}

/// Waits are dropped at random while elements come: each is either taken by somebody or still there.
#[tokio::test]
async fn a_dropped_wait_loses_no_element() {
    const ELEMENTS: u32 = 400;
    let server = Server::start().unwrap();
    let store = connect(&server).await;
    let pushing = tokio::spawn({
        let store = store.clone();
        async move {
            for at in 0..ELEMENTS {
                store.push("list", End::Back, &[at.to_string().as_bytes()]).await.unwrap();
                tokio::time::sleep(Duration::from_micros(500)).await;
            }
        }
    });
    let mut taken = Vec::new();
    let mut dropped = 0;
    while !pushing.is_finished() {
        let patience = Duration::from_micros(rand::random_range(0..2_000));
        match tokio::time::timeout(patience, store.pop(&["list"], End::Front, Duration::from_secs(5))).await {
            Ok(reply) => taken.push(reply.unwrap().unwrap().1),
            Err(_) => dropped += 1,
        }
    }
    pushing.await.unwrap();
    assert!(dropped > 20 && taken.len() > 20, "{dropped} dropped, {} taken", taken.len());
    eventually("everything is somewhere", || async {
        let left: Vec<Vec<u8>> = store.connection().lrange("list", 0, -1).await.unwrap();
        taken.len() + left.len() == ELEMENTS as usize
    })
    .await;
    let left: Vec<Vec<u8>> = store.connection().lrange("list", 0, -1).await.unwrap();
    let all: BTreeSet<Vec<u8>> = taken.iter().map(|element| element.to_vec()).chain(left).collect();
    assert_eq!(all.len(), ELEMENTS as usize, "each once");
    // No wait is left behind that takes what comes later.
    store.push("list", End::Back, &[b"last"]).await.unwrap();
    let length: i64 = store.connection().llen("list").await.unwrap();
    assert_eq!(length as usize, ELEMENTS as usize - taken.len() + 1);
}

#[tokio::test]
async fn more_waits_than_lanes_fail_and_give_their_lanes_back() {
    let server = Server::start().unwrap();
    let options = RedisOptions::default().deadline(DEADLINE).max_lanes(1);
    let store = RedisStore::connect_with(&server.url(), options).await.unwrap();
    let first = store.pop(&["a"], End::Front, Duration::from_secs(5));
    let mut first = std::pin::pin!(first);
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut first).await.is_err());
    let error = store.pop(&["b"], End::Front, Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    store.push("a", End::Back, &[b"1"]).await.unwrap();
    soon("the first", first).await.unwrap();
    store.pop(&["b"], End::Front, Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn what_waits_or_changes_the_connection_is_refused_on_the_shared_one() {
    let server = Server::start().unwrap();
    let mut connection = connect(&server).await.connection();
    let popped: RedisResult<Option<(String, String)>> = connection.blpop("a", 0.0).await;
    assert_eq!(popped.unwrap_err().kind(), redis::ErrorKind::InvalidClientConfig);
    assert!(cmd("MULTI").exec_async(&mut connection).await.is_err());
    assert!(pipe().cmd("SELECT").arg(1).exec_async(&mut connection).await.is_err());
    pipe().atomic().cmd("SET").arg("a").arg(1).exec_async(&mut connection).await.unwrap();
}

#[tokio::test]
async fn a_dedicated_connection_waits_watches_and_is_bounded() {
    let server = Server::start().unwrap();
    let store = connect(&server).await;
    let mut own = store.dedicated("key").await.unwrap();
    let added: String = cmd("XADD").arg("stream").arg("*").arg("f").arg("v").query_async(&mut own).await.unwrap();
    assert!(!added.is_empty());
    let mut read = cmd("XREAD");
    let started = Instant::now();
    let nothing: redis::Value =
        read.arg("BLOCK").arg(1200).arg("STREAMS").arg("stream").arg("$").query_async(&mut own).await.unwrap();
    assert_eq!(nothing, redis::Value::Nil);
    assert!(started.elapsed() > DEADLINE, "longer than the deadline, as asked");
    cmd("WATCH").arg("key").exec_async(&mut own).await.unwrap();
    store.set("key", b"meanwhile", SetOptions::default()).await.unwrap();
    let done: Option<(String,)> =
        pipe().atomic().cmd("SET").arg("key").arg("mine").query_async(&mut own).await.unwrap();
    assert_eq!(done, None, "the watched key was written");
    server.pause().unwrap();
    let started = Instant::now();
    assert!(cmd("PING").exec_async(&mut own).await.unwrap_err().is_timeout());
    assert!(started.elapsed() < DEADLINE * 2);
    assert!(cmd("PING").exec_async(&mut own).await.is_err(), "it stays closed");
}

#[tokio::test]
async fn a_wait_on_a_server_that_hangs_ends_in_time_and_what_it_took_goes_back() {
    let server = Server::start().unwrap();
    let store = connect(&server).await;
    store.push("list", End::Back, &[b"1"]).await.unwrap();
    store.pop(&["list"], End::Front, Duration::ZERO).await.unwrap();
    store.push("list", End::Back, &[b"2"]).await.unwrap();
    server.pause().unwrap();
    let started = Instant::now();
    let error = store.pop(&["list"], End::Front, Duration::from_millis(100)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(started.elapsed() < Duration::from_millis(100) + DEADLINE * 2, "{:?}", started.elapsed());
    server.resume().unwrap();
    eventually("it is back", || async { store.connection().llen("list").await == Ok(1) }).await;
}
