//! Renewal, and what tells that a lock is lost.

use crate::backend::{Backend, eventually, on_every_backend, soon};
use kv_core::{Clock, KvStore, MemoryStore, SetOptions, Ttl};
use redis_lock::{LockError, LockManager, LockOptions, Release, TryAcquire};
use std::{future::pending, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, timeout};

on_every_backend!(
    a_lease_is_renewed_while_the_guard_lives,
    a_theft_is_told,
    a_deletion_is_told,
    a_release_is_no_loss,
    the_longest_lease_is_the_longest,
    work_ends_with_the_lock,
    what_was_granted_becomes_a_whole_lease,
);

const LONG: Duration = Duration::from_secs(8);
const LEASE: Duration = Duration::from_millis(1200);

fn brief(backend: &Backend) -> LockManager {
    LockManager::new(backend.store.clone(), LockOptions::default().lease(LEASE)).unwrap()
}

async fn a_lease_is_renewed_while_the_guard_lives(backend: &Backend) {
    let locks = brief(backend);
    let guard = locks.try_acquire("job").await.unwrap().acquired().unwrap();
    let fence = guard.fencing_token();
    assert!(timeout(LEASE * 3, guard.lost()).await.is_err(), "it is not lost");
    assert!(guard.is_valid() && guard.fencing_token() == fence);
    assert!(matches!(locks.try_acquire("job").await.unwrap(), TryAcquire::Held { .. }));
    assert_eq!(guard.release().await.unwrap(), Release::Released);
    let next = locks.try_acquire("job").await.unwrap().acquired().unwrap();
    assert_eq!(next.fencing_token(), fence + 1, "renewals take no number");
}

async fn a_theft_is_told(backend: &Backend) {
    let guard = brief(backend).try_acquire("job").await.unwrap().acquired().unwrap();
    let token = guard.cancellation_token();
    backend.store.set("lock:{job}", b"thief", SetOptions::default()).await.unwrap();
    soon("the loss is known", guard.lost()).await;
    soon("the token is cancelled", token.cancelled()).await;
    assert!(!guard.is_valid());
    assert_eq!(guard.release().await.unwrap(), Release::Stolen);
    assert_eq!(backend.store.ttl("lock:{job}").await.unwrap(), Ttl::Unlimited);
}

async fn a_deletion_is_told(backend: &Backend) {
    let guard = brief(backend).try_acquire("job").await.unwrap().acquired().unwrap();
    backend.store.delete(&["lock:{job}"]).await.unwrap();
    soon("the loss is known", guard.lost()).await;
    assert!(!backend.store.exists("lock:{job}").await.unwrap(), "renewing resurrects nothing");
    assert_eq!(guard.release().await.unwrap(), Release::AlreadyExpired);
}

async fn a_release_is_no_loss(backend: &Backend) {
    let locks = brief(backend);
    let (one, two) = (locks.acquire("one", LONG).await.unwrap(), locks.acquire("two", LONG).await.unwrap());
    let tokens = [one.cancellation_token(), two.cancellation_token()];
    one.release().await.unwrap();
    drop(two);
    sleep(LEASE * 2).await;
    assert!(tokens.iter().all(|token| !token.is_cancelled()));
}

async fn the_longest_lease_is_the_longest(backend: &Backend) {
    let options = LockOptions::default().lease(LEASE).max_lease(LEASE * 2);
    let locks = LockManager::new(backend.store.clone(), options).unwrap();
    let started = Instant::now();
    let guard = locks.try_acquire("job").await.unwrap().acquired().unwrap();
    soon("the end of the longest lease", guard.lost()).await;
    let held = started.elapsed();
    assert!(held > LEASE * 3 / 2 && held < LEASE * 5 / 2, "{held:?}");
    eventually("is free", || async { !backend.store.exists("lock:{job}").await.unwrap() }).await;
}

async fn work_ends_with_the_lock(backend: &Backend) {
    let guard = brief(backend).try_acquire("job").await.unwrap().acquired().unwrap();
    assert_eq!(guard.run(async { 7 }).await.unwrap(), 7);
    backend.store.delete(&["lock:{job}"]).await.unwrap();
    let ended = soon("the work is dropped", guard.run(pending::<()>())).await;
    assert!(matches!(ended, Err(LockError::Lost)));
}

async fn what_was_granted_becomes_a_whole_lease(backend: &Backend) {
    for renew in [true, false] {
        let options = LockOptions::default().claim(Duration::from_millis(300)).renew(renew);
        let locks = LockManager::new(backend.store.clone(), options.clone()).unwrap();
        let others = LockManager::new(backend.store.clone(), options).unwrap();
        let first = others.try_acquire("job").await.unwrap().acquired().unwrap();
        let waiter = tokio::spawn(async move { locks.acquire("job", LONG).await.unwrap() });
        eventually("waits", || async { others.inspect("job").await.unwrap().waiting == 1 }).await;
        first.release().await.unwrap();
        let granted = soon("the grant", waiter).await.unwrap();
        eventually("a whole lease", || async { granted.remaining() > Duration::from_secs(5) }).await;
        granted.release().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_slept_too_long_knows_it_at_once() {
    let store = MemoryStore::new();
    let locks = LockManager::new(Arc::new(store), LockOptions::default().renew(false)).unwrap();
    let guard = locks.try_acquire("job").await.unwrap().acquired().unwrap();
    tokio::time::advance(Duration::from_secs(11)).await;
    assert!(!guard.is_valid());
    timeout(Duration::ZERO, guard.lost()).await.expect("at once");
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_was_lost_stays_lost() {
    // The server's clock stands: whoever renews after having slept is told that the lock is still there.
    let store = MemoryStore::with_clock(Clock::manual(1_000_000));
    let locks = LockManager::new(Arc::new(store), LockOptions::default()).unwrap();
    let guard = locks.try_acquire("job").await.unwrap().acquired().unwrap();
    tokio::time::advance(Duration::from_secs(11)).await;
    timeout(Duration::ZERO, guard.lost()).await.expect("at once");
    sleep(Duration::from_secs(5)).await;
    assert!(!guard.is_valid(), "somebody else may have had it meanwhile");
}

#[tokio::test(start_paused = true)]
async fn virtual_time_renews_for_ever() {
    let store = MemoryStore::new();
    let locks = LockManager::new(Arc::new(store), LockOptions::default()).unwrap();
    let guard = locks.try_acquire("job").await.unwrap().acquired().unwrap();
    assert!(timeout(Duration::from_secs(1800), guard.lost()).await.is_err());
    assert!(guard.is_valid());
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_may_have_run_out_is_not_prolonged() {
    let store = MemoryStore::new();
    let locks = LockManager::new(Arc::new(store.clone()), LockOptions::default().renew(false)).unwrap();
    let mut guard = locks.try_acquire("job").await.unwrap().acquired().unwrap();
    // Within the margin for clocks that differ.
    tokio::time::advance(Duration::from_millis(9_950)).await;
    assert!(store.exists("lock:{job}").await.unwrap() && !guard.is_valid());
    assert!(matches!(guard.extend(LONG).await, Err(LockError::Lost)));
    timeout(Duration::ZERO, guard.lost()).await.expect("and stays lost");
}
