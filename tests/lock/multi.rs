//! Several locks at once.

use crate::backend::{Backend, eventually, on_every_backend, soon};
use kv_core::{ErrorKind, KvStore, SetOptions};
use redis_lock::{LockError, LockManager, LockOptions, Release};
use std::time::Duration;

on_every_backend!(
    all_or_none_are_taken,
    a_wait_for_several_gets_them_all,
    whoever_wants_the_same_in_another_order_waits_for_nobody_who_waits,
    one_that_is_lost_is_told,
    a_dropped_guard_releases_all,
    those_who_wait_for_one_come_first,
    a_damaged_counter_takes_none,
);

const LONG: Duration = Duration::from_secs(8);

fn manager(backend: &Backend) -> LockManager {
    LockManager::new(backend.store.clone(), LockOptions::default().lease(Duration::from_millis(900))).unwrap()
}

async fn is_free(backend: &Backend, name: &str) -> bool {
    !backend.store.exists(&format!("lock:{{{name}}}")).await.unwrap()
}

async fn all_or_none_are_taken(backend: &Backend) {
    let (locks, others) = (manager(backend), manager(backend));
    let all = locks.try_acquire_all(&["b", "a", "b"]).await.unwrap().unwrap();
    assert!(all.is_valid() && all.fencing_token("a").is_some() && all.fencing_token("c").is_none());
    assert!(others.try_acquire_all(&["c", "b"]).await.unwrap().is_none());
    eventually("nothing is kept", || is_free(backend, "c")).await;
    let released = all.release().await.unwrap();
    assert_eq!(released, [("a".to_owned(), Release::Released), ("b".to_owned(), Release::Released)]);
    let again = others.try_acquire_all(&["a", "b", "c"]).await.unwrap().unwrap();
    assert!(again.fencing_token("b").is_some());
    let error = locks.try_acquire_all(&[]).await.unwrap_err();
    assert!(matches!(error, LockError::Store(error) if error.kind() == ErrorKind::InvalidInput));
}

async fn a_wait_for_several_gets_them_all(backend: &Backend) {
    let (locks, others) = (manager(backend), manager(backend));
    let b = others.acquire("b", LONG).await.unwrap();
    let fence = b.fencing_token();
    let error = locks.acquire_all(&["a", "b"], Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(error, LockError::Timeout));
    eventually("what was taken is given back", || is_free(backend, "a")).await;
    let waiting = locks.clone();
    let waiter = tokio::spawn(async move { waiting.acquire_all(&["a", "b"], LONG).await });
    eventually("waits for b", || async { others.inspect("b").await.unwrap().waiting == 1 }).await;
    b.release().await.unwrap();
    let all = soon("all of them", waiter).await.unwrap().unwrap();
    assert!(all.is_valid() && all.fencing_token("b").unwrap() > fence);
}

async fn whoever_wants_the_same_in_another_order_waits_for_nobody_who_waits(backend: &Backend) {
    let tasks: Vec<_> = [["a", "b", "c"], ["c", "b", "a"], ["b", "c", "a"], ["c", "a", "b"]]
        .into_iter()
        .map(|names| {
            let locks = manager(backend);
            tokio::spawn(async move {
                for _ in 0..4 {
                    let all = locks.acquire_all(&names, LONG).await.unwrap();
                    tokio::task::yield_now().await;
                    all.release().await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        soon("all turns", task).await.unwrap();
    }
}

async fn one_that_is_lost_is_told(backend: &Backend) {
    let all = manager(backend).try_acquire_all(&["a", "b"]).await.unwrap().unwrap();
    backend.store.set("lock:{b}", b"thief", SetOptions::default()).await.unwrap();
    let ended = soon("the work is dropped", all.run(std::future::pending::<()>())).await;
    assert!(matches!(ended, Err(LockError::Lost)) && !all.is_valid());
    let released = all.release().await.unwrap();
    assert_eq!(released, [("a".to_owned(), Release::Released), ("b".to_owned(), Release::Stolen)]);
}

async fn a_dropped_guard_releases_all(backend: &Backend) {
    drop(manager(backend).try_acquire_all(&["a", "b"]).await.unwrap().unwrap());
    for name in ["a", "b"] {
        eventually("is free", || is_free(backend, name)).await;
    }
}

async fn those_who_wait_for_one_come_first(backend: &Backend) {
    let (locks, others) = (manager(backend), manager(backend));
    let b = others.acquire("b", LONG).await.unwrap();
    let waiter = tokio::spawn({
        let locks = manager(backend);
        async move { locks.acquire("b", LONG).await }
    });
    eventually("waits for b", || async { others.inspect("b").await.unwrap().waiting == 1 }).await;
    b.release().await.unwrap();
    assert!(locks.try_acquire_all(&["a", "b"]).await.unwrap().is_none());
    soon("the waiter", waiter).await.unwrap().unwrap().release().await.unwrap();
    assert!(locks.acquire_all(&["a", "b"], LONG).await.is_ok());
}

async fn a_damaged_counter_takes_none(backend: &Backend) {
    backend.store.set("lock:{b}:fence", b"garbage", SetOptions::default()).await.unwrap();
    let error = manager(backend).try_acquire_all(&["a", "b"]).await.unwrap_err();
    assert!(matches!(error, LockError::Store(error) if error.kind() == ErrorKind::Corrupt));
    for name in ["a", "b"] {
        eventually("is free", || is_free(backend, name)).await;
    }
}
