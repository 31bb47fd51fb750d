//! Renewal of shares, and what tells that one is lost.

use super::{LONG, NO_WAIT, dying, manager, manager_with, permits, reader_in_line, rw};
use crate::backend::{Backend, eventually, on_every_backend, soon};
use kv_core::{Clock, MemoryStore, Ttl};
use redis_lock::{LockError, LockManager, LockOptions, Permit, Release};
use std::{future::pending, mem, sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};

on_every_backend!(
    shares_are_renewed_while_their_guards_live,
    a_lost_share_is_told,
    a_release_is_no_loss,
    extending_prolongs_one_share,
    what_was_granted_becomes_a_whole_lease,
);

/// Longer than a busy machine keeps a process from its turn.
const LEASE: Duration = Duration::from_millis(1500);

fn brief(backend: &Backend) -> LockManager {
    manager_with(backend, LockOptions::default().lease(LEASE))
}

async fn shares_are_renewed_while_their_guards_live(backend: &Backend) {
    let locks = brief(backend);
    // The two kinds of renewals at a time.
    let (reader, other) = (rw(&locks).read(LONG).await.unwrap(), rw(&locks).read(LONG).await.unwrap());
    let (permit, lock) =
        (permits(&locks, 1).acquire(LONG).await.unwrap(), locks.try_acquire("job").await.unwrap().acquired().unwrap());
    assert!(timeout(LEASE * 3, reader.lost()).await.is_err(), "it is not lost");
    assert!(reader.is_valid() && other.is_valid() && permit.is_valid() && lock.is_valid());
    assert_eq!(rw(&locks).inspect().await.unwrap().readers, 2);
    assert!(permits(&locks, 1).try_acquire().await.unwrap().is_none());
    for released in [reader.release().await, other.release().await, permit.release().await, lock.release().await] {
        assert_eq!(released.unwrap(), Release::Released);
    }
}

async fn a_lost_share_is_told(backend: &Backend) {
    let locks = brief(backend);
    let guard = rw(&locks).read(LONG).await.unwrap();
    let token = guard.cancellation_token();
    assert_eq!(guard.run(async { 7 }).await.unwrap(), 7);
    backend.store.delete(&["lock:{job}:rw"]).await.unwrap();
    let ended = timeout(LEASE, guard.run(pending::<()>())).await.expect("within the lease");
    assert!(matches!(ended, Err(LockError::Lost)));
    soon("the token is cancelled", token.cancelled()).await;
    assert!(!guard.is_valid());
    assert!(!backend.store.exists("lock:{job}:rw").await.unwrap(), "renewing resurrects nothing");
    let _writer = rw(&locks).write(LONG).await.unwrap();
    assert_eq!(guard.release().await.unwrap(), Release::AlreadyExpired);
    assert!(rw(&locks).inspect().await.unwrap().writing, "nobody releases what is another's");
}

async fn a_release_is_no_loss(backend: &Backend) {
    let locks = brief(backend);
    let (one, two) = (rw(&locks).read(LONG).await.unwrap(), rw(&locks).read(LONG).await.unwrap());
    let tokens = [one.cancellation_token(), two.cancellation_token()];
    one.release().await.unwrap();
    drop(two);
    sleep(LEASE * 2).await;
    assert!(tokens.iter().all(|token| !token.is_cancelled()));
}

async fn extending_prolongs_one_share(backend: &Backend) {
    let locks = dying(backend);
    let mut one = rw(&locks).read(NO_WAIT).await.unwrap();
    let two = rw(&locks).read(NO_WAIT).await.unwrap();
    one.extend(Duration::from_secs(60)).await.unwrap();
    let Ttl::Remaining(left) = backend.store.ttl("lock:{job}:rw").await.unwrap() else { panic!("has a lease") };
    assert!(left > Duration::from_secs(30));
    backend.pass(Duration::from_millis(305)).await;
    eventually("one is over", || async { rw(&locks).inspect().await.unwrap().readers == 1 }).await;
    assert_eq!(two.release().await.unwrap(), Release::AlreadyExpired);
    assert_eq!(one.release().await.unwrap(), Release::Released);
    let _other = rw(&manager(backend)).read(NO_WAIT).await.unwrap();
    let mut late = rw(&locks).read(NO_WAIT).await.unwrap();
    backend.pass(Duration::from_millis(305)).await;
    assert!(matches!(late.extend(LONG).await, Err(LockError::Lost)), "what is over is not taken up again");
}

async fn what_was_granted_becomes_a_whole_lease(backend: &Backend) {
    for renew in [true, false] {
        let writer = rw(&manager(backend)).write(LONG).await.unwrap();
        let options = LockOptions::default().claim(Duration::from_secs(2)).renew(renew);
        let lock = rw(&manager_with(backend, options));
        let waiter = super::line_up(backend, async move { lock.read(LONG).await }).await;
        let other = reader_in_line(backend).await;
        writer.release().await.unwrap();
        let granted = soon("the grant", waiter).await.unwrap().unwrap();
        eventually("a whole lease", || async { granted.remaining() > Duration::from_secs(5) }).await;
        assert_eq!(granted.release().await.unwrap(), Release::Released);
        drop(soon("the other", other).await.unwrap().unwrap());
        eventually("nobody is inside", || async { rw(&manager(backend)).inspect().await.unwrap().readers == 0 }).await;
    }
}

/// Whatever comes, leaves, dies and waits: never more inside than the limit, and by the clock exactly those who should be.
#[tokio::test]
async fn random_comings_and_goings_agree_with_a_model() {
    for _ in 0..50 {
        let store = MemoryStore::with_clock(Clock::manual(1_700_000_000_000_000));
        let clock = store.clock().clone();
        let options = LockOptions::default().lease(Duration::from_secs(10)).renew(false);
        let locks = LockManager::new(Arc::new(store), options).unwrap();
        let limit = rand::random_range(1..6);
        let semaphore = permits(&locks, limit);
        // Each with its weight and the second it is over after.
        let (mut inside, mut now) = (Vec::<(Option<Permit>, u32, u64)>::new(), 0);
        let mut last = 0;
        for _ in 0..60 {
            inside.retain(|(_, _, until)| now <= *until);
            let taken: u32 = inside.iter().map(|(_, weight, _)| weight).sum();
            assert_eq!(semaphore.inspect().await.unwrap().taken, taken);
            match rand::random_range(0..4) {
                0 => {
                    now += 3;
                    clock.advance(Duration::from_secs(3));
                }
                1 => {
                    let alive = inside.iter().position(|(permit, ..)| permit.is_some());
                    if let Some((Some(permit), ..)) = alive.map(|at| inside.swap_remove(at)) {
                        assert_eq!(permit.release().await.unwrap(), Release::Released);
                    }
                }
                dies => {
                    let weight = rand::random_range(1..=limit);
                    let permit = semaphore.try_acquire_many(weight).await.unwrap();
                    assert_eq!(permit.is_some(), taken + weight <= limit);
                    let Some(permit) = permit else { continue };
                    assert!(permit.fencing_token() > last);
                    last = permit.fencing_token();
                    let kept = if dies == 2 {
                        mem::forget(permit);
                        None
                    } else {
                        Some(permit)
                    };
                    inside.push((kept, weight, now + 10));
                }
            }
        }
    }
}
