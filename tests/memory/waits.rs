//! Waits: who is served, in which order, and when they end.

use crate::backend::{Backend, eventually, on_every_backend, patient};
use kv_core::{BlockingStore, End, ErrorKind, KvStoreExt, MemoryStore, Result, SetOptions};
use kv_redis::{RedisStore, redis::cmd};
use std::time::Duration;
use tokio::{task::JoinHandle, task::yield_now, time::Instant};

const WAIT: Duration = Duration::from_secs(60);

on_every_backend!(
    @one_server
    who_waits_longest_is_served_first,
    a_push_of_several_serves_several,
    a_wait_for_several_lists_takes_the_first_to_come,
    a_move_serves_who_waits_for_the_second_list,
    a_move_that_cannot_arrive_leaves_the_element_to_the_next,
    a_string_under_the_key_ends_no_wait,
    a_dropped_wait_takes_nothing,
);

type Waiting<T> = JoinHandle<Result<Option<T>>>;

/// Returns once so many calls wait.
async fn waiting(backend: &Backend, calls: usize) {
    let Some(server) = &backend.server else {
        // On one thread, a task that was spawned waits after its first turn.
        return yield_now().await;
    };
    let store = RedisStore::connect_with(&server.url(), patient()).await.unwrap();
    let expected = format!("blocked_clients:{calls}\r\n");
    eventually("they wait", || async {
        let info: String = cmd("INFO").arg("clients").query_async(&mut store.connection()).await.unwrap();
        info.contains(&expected)
    })
    .await;
}

fn pop(backend: &Backend, keys: &'static [&'static str]) -> Waiting<(String, bytes::Bytes)> {
    let store = backend.store.clone();
    tokio::spawn(async move { store.require_blocking("test")?.pop(keys, End::Front, WAIT).await })
}

fn move_to(backend: &Backend, from: &'static str, to: &'static str) -> Waiting<bytes::Bytes> {
    let store = backend.store.clone();
    tokio::spawn(
        async move { store.require_blocking("test")?.move_to((from, End::Front), (to, End::Back), WAIT).await },
    )
}

async fn popped(waiting: Waiting<(String, bytes::Bytes)>) -> (String, bytes::Bytes) {
    waiting.await.unwrap().unwrap().unwrap()
}

async fn push(backend: &Backend, key: &str, elements: &[&[u8]]) -> u64 {
    backend.store.require_blocking("test").unwrap().push(key, End::Back, elements).await.unwrap()
}

async fn left(backend: &Backend, key: &str) -> Option<bytes::Bytes> {
    let lists = backend.store.require_blocking("test").unwrap();
    lists.pop(&[key], End::Front, Duration::ZERO).await.unwrap().map(|(_, element)| element)
}

async fn who_waits_longest_is_served_first(backend: &Backend) {
    let mut waiters = Vec::new();
    for calls in 1..=4 {
        // One waits for another list first, which changes nothing.
        waiters.push(pop(backend, if calls == 2 { &["other", "list"] } else { &["list"] }));
        waiting(backend, calls).await;
    }
    for (at, waiter) in waiters.into_iter().enumerate() {
        let element = at.to_string();
        assert_eq!(push(backend, "list", &[element.as_bytes()]).await, 1, "counted before it is taken");
        assert_eq!(popped(waiter).await, ("list".to_owned(), element.into()));
    }
    assert_eq!(left(backend, "list").await, None);
}

async fn a_push_of_several_serves_several(backend: &Backend) {
    let first = pop(backend, &["list"]);
    waiting(backend, 1).await;
    let second = move_to(backend, "list", "moved");
    waiting(backend, 2).await;
    // All of them are there before the first is taken.
    let lists = backend.store.require_blocking("test").unwrap();
    assert_eq!(lists.push("list", End::Front, &[b"1", b"2", b"3"]).await.unwrap(), 3);
    assert_eq!(popped(first).await.1, "3");
    assert_eq!(second.await.unwrap().unwrap().unwrap(), "2");
    assert_eq!((left(backend, "list").await.unwrap(), left(backend, "moved").await.unwrap()), ("1".into(), "2".into()));
}

async fn a_wait_for_several_lists_takes_the_first_to_come(backend: &Backend) {
    let waiter = pop(backend, &["a", "b"]);
    waiting(backend, 1).await;
    push(backend, "b", &[b"1"]).await;
    assert_eq!(popped(waiter).await, ("b".to_owned(), "1".into()));
    push(backend, "a", &[b"2"]).await;
    assert_eq!(left(backend, "a").await.unwrap(), "2", "it waits no more");
}

async fn a_move_serves_who_waits_for_the_second_list(backend: &Backend) {
    let last = pop(backend, &["c"]);
    waiting(backend, 1).await;
    let second = move_to(backend, "b", "c");
    waiting(backend, 2).await;
    push(backend, "a", &[b"1"]).await;
    let lists = backend.store.require_blocking("test").unwrap();
    let moved = lists.move_to(("a", End::Front), ("b", End::Back), Duration::ZERO).await.unwrap();
    assert_eq!((moved.unwrap(), second.await.unwrap().unwrap().unwrap()), ("1".into(), "1".into()));
    assert_eq!(popped(last).await, ("c".to_owned(), "1".into()));
}

async fn a_move_that_cannot_arrive_leaves_the_element_to_the_next(backend: &Backend) {
    let first = move_to(backend, "list", "text");
    waiting(backend, 1).await;
    let second = pop(backend, &["list"]);
    waiting(backend, 2).await;
    backend.store.set("text", b"1", SetOptions::default()).await.unwrap();
    push(backend, "list", &[b"1"]).await;
    assert_eq!(first.await.unwrap().unwrap_err().kind(), ErrorKind::WrongType);
    assert_eq!(popped(second).await.1, "1");
}

async fn a_string_under_the_key_ends_no_wait(backend: &Backend) {
    let waiter = pop(backend, &["list"]);
    waiting(backend, 1).await;
    backend.store.set("list", b"1", SetOptions::default()).await.unwrap();
    let error = backend.store.require_blocking("test").unwrap().push("list", End::Back, &[b"1"]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongType);
    waiting(backend, 1).await;
    backend.store.delete(&["list"]).await.unwrap();
    push(backend, "list", &[b"2"]).await;
    assert_eq!(popped(waiter).await.1, "2");
}

async fn a_dropped_wait_takes_nothing(backend: &Backend) {
    let (first, second) = (pop(backend, &["list"]), pop(backend, &["list"]));
    waiting(backend, 2).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    waiting(backend, 1).await;
    assert_eq!(push(backend, "list", &[b"1"]).await, 1);
    assert_eq!(popped(second).await.1, "1");
}

#[tokio::test(start_paused = true)]
async fn paused_time_makes_waits_virtual() {
    let store = MemoryStore::new();
    let (started, wait) = (Instant::now(), Duration::from_micros(3_600_000_001));
    assert_eq!(store.pop(&["list"], End::Front, wait).await.unwrap(), None);
    let waited = started.elapsed();
    assert!(waited >= wait && waited < wait + Duration::from_millis(5), "{waited:?}");
    let ages = Duration::from_millis(kv_core::Limits::MAX_TTL_MILLIS);
    let (taken, _) = tokio::join!(store.pop(&["list"], End::Front, ages), store.push("list", End::Back, &[b"1"]));
    assert_eq!(taken.unwrap().unwrap().1, "1");
    assert_eq!(started.elapsed(), waited);
}
