//! How much is under way at once.

use crate::{
    backend::{Backend, eventually, on_every_backend, soon},
    cancellation::{at_every_await, poll_times, stepping},
};
use kv_core::{ErrorKind, KvStore, MemoryStore, Ttl};
use redis_ratelimit::{ConcurrencyDecision, ConcurrencyLimiter, ConcurrencyOptions, Slot, SlotRelease};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinSet;

on_every_backend!(
    slots_are_occupied_until_they_are_released,
    several_slots_are_taken_or_none,
    a_dropped_slot_is_freed,
    whoever_dies_frees_its_own_slot_when_its_lease_ends,
    leases_are_renewed_while_their_slots_live,
    a_lost_lease_is_told_and_not_brought_back,
    a_lease_that_is_over_is_told,
    never_more_than_the_limit_are_inside,
    something_else_under_the_key_admits_nobody,
    nothing_is_left_when_all_are_gone,
);

const KEY: &str = "concurrency:{job}";

fn limiter(backend: &Backend, limit: u32, options: ConcurrencyOptions) -> ConcurrencyLimiter {
    ConcurrencyLimiter::new(backend.store.clone(), limit, options).unwrap()
}

fn long() -> ConcurrencyOptions {
    ConcurrencyOptions::default().lease(Duration::from_secs(60))
}

fn brief() -> ConcurrencyOptions {
    ConcurrencyOptions::default().lease(Duration::from_millis(1500))
}

async fn admitted(limiter: &ConcurrencyLimiter) -> Slot {
    limiter.try_acquire("job").await.unwrap().admitted().expect("a free slot")
}

async fn slots_are_occupied_until_they_are_released(backend: &Backend) {
    let (here, there) = (limiter(backend, 2, long()), limiter(backend, 2, long()));
    let first = admitted(&here).await;
    let second = admitted(&there).await;
    assert_eq!((first.free(), second.free()), (1, 0));
    for _ in 0..3 {
        let ConcurrencyDecision::Denied { free: 0, retry_after: Some(retry_after) } =
            here.try_acquire("job").await.unwrap()
        else {
            panic!("all are occupied")
        };
        assert!(retry_after <= Duration::from_secs(60) && retry_after > Duration::from_secs(50), "{retry_after:?}");
    }
    assert!(here.try_acquire("other").await.unwrap().is_admitted(), "ids do not share");
    assert_eq!(first.release().await.unwrap(), SlotRelease::Released);
    assert_eq!(admitted(&there).await.free(), 0);
    assert!(second.is_valid());
}

async fn several_slots_are_taken_or_none(backend: &Backend) {
    let limiter = limiter(backend, 5, long());
    let three = limiter.try_acquire_n("job", 3).await.unwrap().admitted().unwrap();
    let denied = limiter.try_acquire_n("job", 3).await.unwrap();
    assert!(matches!(denied, ConcurrencyDecision::Denied { free: 2, .. }), "{denied:?}");
    let two = limiter.try_acquire_n("job", 2).await.unwrap().admitted().unwrap();
    three.release().await.unwrap();
    assert!(matches!(limiter.try_acquire_n("job", 4).await.unwrap(), ConcurrencyDecision::Denied { free: 3, .. }));
    two.release().await.unwrap();
    let never = limiter.try_acquire_n("job", 6).await.unwrap();
    assert!(matches!(never, ConcurrencyDecision::Denied { retry_after: None, .. }), "{never:?}");
    assert_eq!(limiter.try_acquire_n("job", 0).await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

async fn a_dropped_slot_is_freed(backend: &Backend) {
    let limiter = limiter(backend, 1, long());
    for _ in 0..3 {
        drop(admitted(&limiter).await);
        eventually("free", || async { !backend.store.exists(KEY).await.unwrap() }).await;
    }
}

async fn whoever_dies_frees_its_own_slot_when_its_lease_ends(backend: &Backend) {
    let dies = limiter(backend, 2, brief().renew(false));
    let lives = limiter(backend, 2, long());
    std::mem::forget(admitted(&dies).await);
    let held = admitted(&lives).await;
    assert!(!lives.try_acquire("job").await.unwrap().is_admitted());
    backend.pass(Duration::from_millis(1550)).await;
    let next = admitted(&lives).await;
    assert!(!lives.try_acquire("job").await.unwrap().is_admitted(), "exactly one is free");
    assert_eq!(held.release().await.unwrap(), SlotRelease::Released);
    assert_eq!(next.release().await.unwrap(), SlotRelease::Released);
}

async fn leases_are_renewed_while_their_slots_live(backend: &Backend) {
    // In memory time stands still here: virtual time has a test of its own.
    let pause = if backend.is_memory() { Duration::ZERO } else { Duration::from_millis(3200) };
    let limiter = limiter(backend, 1, brief());
    let slot = admitted(&limiter).await;
    tokio::time::sleep(pause).await;
    assert!(!limiter.try_acquire("job").await.unwrap().is_admitted());
    assert!(slot.is_valid());
    assert_eq!(slot.release().await.unwrap(), SlotRelease::Released);
}

#[tokio::test(start_paused = true)]
async fn virtual_time_renews_for_ever() {
    let limiter = ConcurrencyLimiter::new(Arc::new(MemoryStore::new()), 1, brief()).unwrap();
    let slot = admitted(&limiter).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(slot.is_valid() && !limiter.try_acquire("job").await.unwrap().is_admitted());
    assert_eq!(slot.release().await.unwrap(), SlotRelease::Released);
}

async fn a_lost_lease_is_told_and_not_brought_back(backend: &Backend) {
    let limiter = limiter(backend, 1, brief());
    let slot = admitted(&limiter).await;
    limiter.reset("job").await.unwrap();
    soon("the loss", slot.lost()).await;
    assert!(!slot.is_valid());
    assert!(!backend.store.exists(KEY).await.unwrap(), "a renewal brings nothing back");
    let next = admitted(&limiter).await;
    assert_eq!(slot.release().await.unwrap(), SlotRelease::LeaseOver);
    assert!(!limiter.try_acquire("job").await.unwrap().is_admitted(), "a late release frees nobody else's");
    drop(next);
}

async fn a_lease_that_is_over_is_told(backend: &Backend) {
    let limiter = limiter(backend, 1, ConcurrencyOptions::default().lease(Duration::from_millis(100)).renew(false));
    let slot = admitted(&limiter).await;
    backend.pass(Duration::from_millis(120)).await;
    soon("the end of the lease", slot.lost()).await;
    assert_eq!(slot.release().await.unwrap(), SlotRelease::LeaseOver);
}

async fn never_more_than_the_limit_are_inside(backend: &Backend) {
    let (inside, entered) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let limiter = limiter(backend, 3, long());
        let (inside, entered) = (inside.clone(), entered.clone());
        tasks.spawn(async move {
            for _ in 0..20 {
                if let Some(slot) = limiter.try_acquire("job").await.unwrap().admitted() {
                    assert!(inside.fetch_add(1, Ordering::SeqCst) < 3);
                    tokio::task::yield_now().await;
                    inside.fetch_sub(1, Ordering::SeqCst);
                    entered.fetch_add(1, Ordering::SeqCst);
                    // Some are released and some dropped.
                    if entered.load(Ordering::SeqCst) % 2 == 0 {
                        assert_eq!(slot.release().await.unwrap(), SlotRelease::Released);
                    }
                }
            }
        });
    }
    tasks.join_all().await;
    assert!(entered.load(Ordering::SeqCst) >= 3);
}

async fn something_else_under_the_key_admits_nobody(backend: &Backend) {
    let limiter = limiter(backend, 3, long());
    backend.put_other_type(KEY).await;
    let error = limiter.try_acquire("job").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongType, "{error}");
    limiter.reset("job").await.unwrap();
    assert!(limiter.try_acquire("job").await.unwrap().is_admitted());
}

async fn nothing_is_left_when_all_are_gone(backend: &Backend) {
    let limiter = limiter(backend, 3, long());
    let slots = [admitted(&limiter).await, admitted(&limiter).await];
    let ttl = backend.store.ttl(KEY).await.unwrap();
    assert!(matches!(ttl, Ttl::Remaining(left) if left <= Duration::from_secs(60)), "{ttl:?}");
    for slot in slots {
        slot.release().await.unwrap();
    }
    assert!(!backend.store.exists(KEY).await.unwrap());
}

#[tokio::test]
async fn a_dropped_question_leaves_nothing_occupied() {
    at_every_await(|polls| async move {
        let store = stepping();
        let limiter = ConcurrencyLimiter::new(Arc::new(store.clone()), 1, long()).unwrap();
        let done = poll_times(polls, limiter.try_acquire("job")).await.is_some();
        eventually("free", || async { !store.inner().exists(KEY).await.unwrap() }).await;
        done
    })
    .await;
}

#[tokio::test]
async fn a_dropped_release_frees() {
    at_every_await(|polls| async move {
        let store = stepping();
        let limiter = ConcurrencyLimiter::new(Arc::new(store.clone()), 1, long()).unwrap();
        let slot = admitted(&limiter).await;
        let done = poll_times(polls, slot.release()).await.is_some();
        eventually("free", || async { !store.inner().exists(KEY).await.unwrap() }).await;
        done
    })
    .await;
}

#[tokio::test]
async fn a_lost_reply_leaves_nothing_occupied() {
    let store = stepping();
    let limiter = ConcurrencyLimiter::new(Arc::new(store.clone()), 1, long()).unwrap();
    store.layer().lose_next_reply();
    assert_eq!(limiter.try_acquire("job").await.unwrap_err().kind(), ErrorKind::Timeout);
    eventually("free", || async { !store.inner().exists(KEY).await.unwrap() }).await;
    let slot = admitted(&limiter).await;
    store.layer().lose_next_reply();
    assert_eq!(slot.release().await.unwrap_err().kind(), ErrorKind::Timeout);
    assert!(limiter.try_acquire("job").await.unwrap().is_admitted());
}

#[test]
fn a_slot_may_outlive_its_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let slot = runtime.block_on(async {
        let limiter = ConcurrencyLimiter::new(Arc::new(MemoryStore::new()), 1, long()).unwrap();
        admitted(&limiter).await
    });
    drop(runtime);
    drop(slot);
    assert!(ConcurrencyLimiter::new(Arc::new(MemoryStore::new()), 1, long()).is_err(), "no runtime, no limiter");
}
