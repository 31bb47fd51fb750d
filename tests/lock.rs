//! The lock.

mod cohort;
mod crowd;
mod elsewhere;
mod interop;
mod lease;
mod line;
mod model;
mod multi;

use crate::backend::{Backend, eventually, on_every_backend};
use kv_core::{Around, Call, ErrorKind, Result, SetOptions, Ttl};
use redis_lock::{LockError, LockManager, LockOptions, Release, TryAcquire};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

on_every_backend!(
    a_held_lock_is_held,
    a_released_lock_is_free,
    a_lease_ends_by_itself,
    release_and_extend_tell_theft_from_expiry,
    extending_prolongs_the_lease,
    fencing_tokens_only_grow,
    a_damaged_fence_is_an_error_and_leaves_the_lock_free,
    anything_under_the_key_is_held_by_another,
    a_dropped_guard_releases,
    acquire_waits_for_release_and_for_expiry,
    a_waiter_is_there_when_the_lease_ends,
    acquire_gives_up_in_time,
    sections_never_overlap,
    odd_names_are_names,
);

/// How many calls a store carries out.
#[derive(Clone, Debug, Default)]
struct Counted(Arc<AtomicU64>);

impl Around for Counted {
    async fn around<T: Send>(&self, mut call: Call<'_, T>) -> Result<T> {
        self.0.fetch_add(1, Ordering::Relaxed);
        call.run().await
    }
}

const NO_WAIT: Duration = Duration::ZERO;
const LONG: Duration = Duration::from_secs(5);

fn manager(backend: &Backend) -> LockManager {
    LockManager::new(backend.store.clone(), LockOptions::default()).unwrap()
}

fn with_lease(backend: &Backend, millis: u64) -> LockManager {
    let options = LockOptions::default().lease(Duration::from_millis(millis)).renew(false);
    LockManager::new(backend.store.clone(), options).unwrap()
}

async fn a_held_lock_is_held(backend: &Backend) {
    let (ours, theirs) = (manager(backend), manager(backend));
    let guard = ours.try_acquire("job").await.unwrap().acquired().unwrap();
    for locks in [&ours, &theirs] {
        let TryAcquire::Held { remaining: Some(remaining) } = locks.try_acquire("job").await.unwrap() else {
            panic!("must be held")
        };
        assert!(remaining <= Duration::from_secs(10) && remaining > Duration::from_secs(5));
    }
    assert!(theirs.try_acquire("other").await.unwrap().acquired().is_some());
    // The lease, less 1 % and 2 ms.
    assert!(guard.is_valid() && guard.remaining() <= Duration::from_millis(9898));
    assert!(matches!(backend.store.ttl("lock:{job}").await.unwrap(), Ttl::Remaining(_)));
}

async fn a_released_lock_is_free(backend: &Backend) {
    let locks = manager(backend);
    for _ in 0..3 {
        let guard = locks.acquire("job", NO_WAIT).await.unwrap();
        assert_eq!(guard.release().await.unwrap(), Release::Released);
        assert!(!backend.store.exists("lock:{job}").await.unwrap());
    }
}

async fn a_lease_ends_by_itself(backend: &Backend) {
    let locks = with_lease(backend, 30);
    let guard = locks.acquire("job", NO_WAIT).await.unwrap();
    backend.pass(Duration::from_millis(35)).await;
    let next = locks.acquire("job", NO_WAIT).await.unwrap();
    assert!(next.fencing_token() > guard.fencing_token());
    drop(guard);
    tokio::task::yield_now().await;
    assert!(matches!(locks.try_acquire("job").await.unwrap(), TryAcquire::Held { .. }));
}

async fn release_and_extend_tell_theft_from_expiry(backend: &Backend) {
    let locks = manager(backend);
    let guard = locks.acquire("job", NO_WAIT).await.unwrap();
    backend.store.delete(&["lock:{job}"]).await.unwrap();
    assert_eq!(guard.release().await.unwrap(), Release::AlreadyExpired);

    let guard = locks.acquire("job", NO_WAIT).await.unwrap();
    backend.store.set("lock:{job}", b"thief", SetOptions::default()).await.unwrap();
    assert_eq!(guard.release().await.unwrap(), Release::Stolen);
    assert_eq!(backend.store.get("lock:{job}").await.unwrap().unwrap(), "thief");

    backend.store.delete(&["lock:{job}"]).await.unwrap();
    let mut guard = locks.acquire("job", NO_WAIT).await.unwrap();
    backend.store.set("lock:{job}", b"thief", SetOptions::default()).await.unwrap();
    assert!(matches!(guard.extend(LONG).await, Err(LockError::Lost)));
    assert!(!guard.is_valid());
    assert_eq!(backend.store.ttl("lock:{job}").await.unwrap(), Ttl::Unlimited, "a thief's lease is not ours to extend");

    backend.store.delete(&["lock:{job}"]).await.unwrap();
    assert!(matches!(guard.extend(LONG).await, Err(LockError::Lost)));
    assert!(!backend.store.exists("lock:{job}").await.unwrap(), "extending resurrects nothing");
}

async fn extending_prolongs_the_lease(backend: &Backend) {
    let locks = with_lease(backend, 1000);
    let mut guard = locks.acquire("job", NO_WAIT).await.unwrap();
    let fence = guard.fencing_token();
    guard.extend(Duration::from_secs(60)).await.unwrap();
    let Ttl::Remaining(left) = backend.store.ttl("lock:{job}").await.unwrap() else { panic!("has a lease") };
    assert!(left > Duration::from_secs(30));
    assert!(guard.remaining() > Duration::from_secs(30) && guard.remaining() < Duration::from_secs(60));
    assert_eq!(guard.fencing_token(), fence);
    let error = guard.extend(Duration::ZERO).await.unwrap_err();
    assert!(matches!(error, LockError::Store(error) if error.kind() == ErrorKind::InvalidInput));
    assert_eq!(guard.release().await.unwrap(), Release::Released);
}

async fn fencing_tokens_only_grow(backend: &Backend) {
    let (mut first, mut last) = (0, 0);
    for round in 0..5 {
        // A new manager each time: the number is the store's.
        let guard = manager(backend).acquire("job", NO_WAIT).await.unwrap();
        assert!(guard.fencing_token() > last);
        last = guard.fencing_token();
        first = if round == 0 { last } else { first };
        assert!(manager(backend).try_acquire("job").await.unwrap().acquired().is_none());
        match round % 2 {
            0 => drop(guard.release().await.unwrap()),
            _ => drop(backend.store.delete(&["lock:{job}"]).await.unwrap()),
        }
    }
    assert_eq!(last, first + 4, "a try that finds the lock held takes no number");
    assert_eq!(backend.store.ttl("lock:{job}:fence").await.unwrap(), Ttl::Unlimited);
}

async fn a_damaged_fence_is_an_error_and_leaves_the_lock_free(backend: &Backend) {
    let locks = manager(backend);
    let damages: [&[u8]; 5] = [b"garbage", b"-5", b"9007199254740991", b"9223372036854775807", b"hash"];
    for damage in damages {
        backend.store.delete(&["lock:{job}:fence"]).await.unwrap();
        match damage {
            b"hash" => backend.put_other_type("lock:{job}:fence").await,
            _ => drop(backend.store.set("lock:{job}:fence", damage, SetOptions::default()).await.unwrap()),
        }
        let error = locks.try_acquire("job").await.unwrap_err();
        assert!(matches!(&error, LockError::Store(error) if error.kind() == ErrorKind::Corrupt), "{error}");
        assert!(!backend.store.exists("lock:{job}").await.unwrap());
    }
}

async fn anything_under_the_key_is_held_by_another(backend: &Backend) {
    let locks = manager(backend);
    backend.store.set("lock:{foreign}", b"a holder without a lease", SetOptions::default()).await.unwrap();
    backend.put_other_type("lock:{hash}").await;
    for name in ["foreign", "hash"] {
        assert!(matches!(locks.try_acquire(name).await.unwrap(), TryAcquire::Held { remaining: None }));
        let error = locks.acquire(name, Duration::from_millis(20)).await.unwrap_err();
        assert!(matches!(error, LockError::Timeout));
    }
    let guard = locks.acquire("job", NO_WAIT).await.unwrap();
    backend.store.delete(&["lock:{job}"]).await.unwrap();
    backend.put_other_type("lock:{job}").await;
    assert_eq!(guard.release().await.unwrap(), Release::Stolen);
}

async fn a_dropped_guard_releases(backend: &Backend) {
    let locks = manager(backend);
    drop(locks.acquire("here", NO_WAIT).await.unwrap());
    let elsewhere = locks.acquire("elsewhere", NO_WAIT).await.unwrap();
    std::thread::spawn(move || drop(elsewhere)).join().unwrap();
    for name in ["here", "elsewhere"] {
        let locks = &locks;
        eventually("released", || async move { locks.try_acquire(name).await.unwrap().acquired().is_some() }).await;
    }
}

async fn acquire_waits_for_release_and_for_expiry(backend: &Backend) {
    let locks = with_lease(backend, 10_000);
    let guard = locks.acquire("job", NO_WAIT).await.unwrap();
    let waiter = tokio::spawn({
        let locks = locks.clone();
        async move { locks.acquire("job", LONG).await }
    });
    tokio::task::yield_now().await;
    assert!(!waiter.is_finished());
    guard.release().await.unwrap();
    let guard = waiter.await.unwrap().unwrap();

    // Nobody releases; the lease ends.
    let brief = with_lease(backend, 20);
    guard.release().await.unwrap();
    std::mem::forget(brief.try_acquire("job").await.unwrap());
    backend.pass(Duration::from_millis(21)).await;
    drop(locks.acquire("job", LONG).await.unwrap());
}

async fn a_waiter_is_there_when_the_lease_ends(backend: &Backend) {
    let locks = with_lease(backend, 50);
    std::mem::forget(locks.try_acquire("job").await.unwrap());
    let started = tokio::time::Instant::now();
    drop(locks.acquire("job", Duration::from_secs(60)).await.unwrap());
    assert!(started.elapsed() < Duration::from_millis(500), "the wait ends with the lease");
}

async fn acquire_gives_up_in_time(backend: &Backend) {
    let locks = manager(backend);
    let _guard = locks.acquire("job", NO_WAIT).await.unwrap();
    let started = tokio::time::Instant::now();
    let error = locks.acquire("job", Duration::from_millis(30)).await.unwrap_err();
    assert!(matches!(error, LockError::Timeout) && error.is_temporary());
    assert!(started.elapsed() >= Duration::from_millis(30) && started.elapsed() < Duration::from_secs(2));
}

async fn sections_never_overlap(backend: &Backend) {
    let (inside, done, highest) =
        (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let locks = with_lease(backend, 10_000);
            let (inside, done, highest) = (inside.clone(), done.clone(), highest.clone());
            tokio::spawn(async move {
                for _ in 0..5 {
                    let guard = locks.acquire("job", Duration::from_secs(30)).await.unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two holders");
                    assert!(highest.swap(guard.fencing_token(), Ordering::SeqCst) < guard.fencing_token());
                    tokio::task::yield_now().await;
                    inside.fetch_sub(1, Ordering::SeqCst);
                    assert_eq!(guard.release().await.unwrap(), Release::Released);
                    done.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(done.load(Ordering::SeqCst), 40);
}

async fn odd_names_are_names(backend: &Backend) {
    let locks = manager(backend);
    let names = ["a", "a}", "{a", "}{", "a%7D", "a:fence", "a b\n", "ü"];
    let mut guards = Vec::new();
    for name in names {
        guards.push(locks.acquire(name, NO_WAIT).await.unwrap());
    }
    for name in names {
        assert!(locks.try_acquire(name).await.unwrap().acquired().is_none());
    }
    let error = locks.try_acquire("").await.unwrap_err();
    assert!(matches!(error, LockError::Store(error) if error.kind() == ErrorKind::InvalidInput));
}
