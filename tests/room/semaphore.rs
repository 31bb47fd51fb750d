//! Permits: never too many, and as many as are free.

use super::{LONG, NO_WAIT, dying, manager, permits, permits_in_line};
use crate::backend::{Backend, eventually, on_every_backend, soon};
use kv_core::{ErrorKind, Ttl};
use redis_lock::{LockError, Release};
use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

on_every_backend!(
    so_many_and_no_more,
    a_crash_frees_what_it_had_and_nothing_else,
    whoever_wants_many_is_not_passed,
    a_smaller_limit_lets_fewer_in,
    a_limit_holds_under_load,
    odd_limits_and_permits_are_errors,
);

async fn so_many_and_no_more(backend: &Backend) {
    let (one, two) = (permits(&manager(backend), 3), permits(&manager(backend), 3));
    let first = one.try_acquire().await.unwrap().unwrap();
    let _others = (two.acquire(LONG).await.unwrap(), one.acquire(NO_WAIT).await.unwrap());
    for semaphore in [&one, &two] {
        assert!(semaphore.try_acquire().await.unwrap().is_none());
        assert!(matches!(semaphore.acquire(Duration::from_millis(20)).await, Err(LockError::Timeout)));
        let state = semaphore.inspect().await.unwrap();
        assert!(state.taken == 3 && state.available == 0, "{state:?}");
    }
    eventually("nobody waits", || async { one.inspect().await.unwrap().waiting == 0 }).await;
    assert_eq!(first.release().await.unwrap(), Release::Released);
    assert_eq!(two.inspect().await.unwrap().available, 1);
    assert!(two.try_acquire_many(2).await.unwrap().is_none());
    let again = two.try_acquire().await.unwrap().unwrap();
    let waiter = permits_in_line(backend, 3, 1).await;
    assert_eq!(again.release().await.unwrap(), Release::Released);
    assert!(soon("a permit", waiter).await.unwrap().is_ok());
}

async fn a_crash_frees_what_it_had_and_nothing_else(backend: &Backend) {
    let semaphore = permits(&manager(backend), 4);
    let alive = semaphore.acquire_many(2, LONG).await.unwrap();
    mem::forget(permits(&dying(backend), 4).try_acquire().await.unwrap().unwrap());
    let other = permits(&manager(backend), 4).acquire(LONG).await.unwrap();
    assert_eq!(semaphore.inspect().await.unwrap().available, 0);
    backend.pass(Duration::from_millis(305)).await;
    eventually("one is free", || async { semaphore.inspect().await.unwrap().available == 1 }).await;
    let _one = semaphore.try_acquire().await.unwrap().unwrap();
    assert!(semaphore.try_acquire().await.unwrap().is_none(), "and no other");
    assert_eq!(alive.release().await.unwrap(), Release::Released);
    assert_eq!(other.release().await.unwrap(), Release::Released);
    assert_eq!(semaphore.inspect().await.unwrap().taken, 1);
    assert!(matches!(backend.store.ttl("lock:{job}:semaphore").await.unwrap(), Ttl::Remaining(_)));
}

async fn whoever_wants_many_is_not_passed(backend: &Backend) {
    let semaphore = permits(&manager(backend), 3);
    let (one, two) = (semaphore.acquire(LONG).await.unwrap(), semaphore.acquire(LONG).await.unwrap());
    let many = permits_in_line(backend, 3, 3).await;
    let few = permits_in_line(backend, 3, 1).await;
    assert!(semaphore.try_acquire().await.unwrap().is_none(), "one is free, and it is spoken for");
    one.release().await.unwrap();
    assert!(!many.is_finished() && !few.is_finished());
    two.release().await.unwrap();
    let many = soon("many", many).await.unwrap().unwrap();
    assert!(!few.is_finished());
    assert_eq!(semaphore.inspect().await.unwrap().taken, 3);
    many.release().await.unwrap();
    assert!(soon("few", few).await.unwrap().is_ok());
}

async fn a_smaller_limit_lets_fewer_in(backend: &Backend) {
    let (five, two) = (permits(&manager(backend), 5), permits(&manager(backend), 2));
    let guards = [five.acquire(LONG).await.unwrap(), two.acquire(LONG).await.unwrap()];
    assert!(two.try_acquire().await.unwrap().is_none());
    let third = five.acquire(LONG).await.unwrap();
    let state = two.inspect().await.unwrap();
    assert!(state.taken == 3 && state.available == 0, "{state:?}");
    let waiter = permits_in_line(backend, 2, 1).await;
    assert!(five.try_acquire().await.unwrap().is_none(), "whoever waits is not passed, whatever the limits");
    third.release().await.unwrap();
    let [first, second] = guards;
    assert!(!waiter.is_finished());
    first.release().await.unwrap();
    drop(soon("below the smaller limit", waiter).await.unwrap().unwrap());
    assert_eq!(second.release().await.unwrap(), Release::Released);
}

async fn a_limit_holds_under_load(backend: &Backend) {
    let (inside, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let tasks = (0..8).map(|number| {
        let (semaphore, inside, most) = (permits(&manager(backend), 3), inside.clone(), most.clone());
        tokio::spawn(async move {
            for round in 0..4 {
                let weight = (number + round) % 2 + 1;
                let guard = semaphore.acquire_many(weight, Duration::from_secs(30)).await.unwrap();
                let now = inside.fetch_add(weight, Ordering::SeqCst) + weight;
                most.fetch_max(now, Ordering::SeqCst);
                tokio::task::yield_now().await;
                inside.fetch_sub(weight, Ordering::SeqCst);
                if round % 2 == 0 {
                    assert_eq!(guard.release().await.unwrap(), Release::Released);
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let most = most.load(Ordering::SeqCst);
    assert!(most <= 3, "{most} at a time");
    let semaphore = permits(&manager(backend), 3);
    eventually("all are free", || async { semaphore.inspect().await.unwrap().available == 3 }).await;
}

async fn odd_limits_and_permits_are_errors(backend: &Backend) {
    let locks = manager(backend);
    for limit in [0, 1 << 31, u32::MAX] {
        assert_eq!(locks.semaphore("job", limit).unwrap_err().kind(), ErrorKind::InvalidConfig);
    }
    let largest = i32::MAX.unsigned_abs();
    let _all = permits(&locks, largest).acquire_many(largest, LONG).await.unwrap();
    for permits_wanted in [0, 3] {
        let error = permits(&locks, 2).acquire_many(permits_wanted, LONG).await.unwrap_err();
        assert!(matches!(error, LockError::Store(error) if error.kind() == ErrorKind::InvalidInput));
    }
}
