//! Tasks of one manager: who passes the lock to whom without asking the server.

use super::Counted;
use crate::backend::{Backend, eventually, on_every_backend, soon};
use kv_core::{Layered, MemoryStore};
use redis_lock::{LockGuard, LockManager, LockOptions, Release};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

on_every_backend!(
    tasks_are_served_in_order_each_with_a_larger_number,
    other_processes_are_served_between_batches,
    a_stolen_lock_is_not_passed_on,
    a_place_in_line_outlives_whoever_gave_it_up,
);

const LONG: Duration = Duration::from_secs(8);

fn manager(backend: &Backend) -> LockManager {
    LockManager::new(backend.store.clone(), LockOptions::default()).unwrap()
}

async fn tasks_are_served_in_order_each_with_a_larger_number(backend: &Backend) {
    let locks = manager(backend);
    let first = locks.acquire("job", LONG).await.unwrap();
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for number in 0..50 {
        let (locks, served) = (locks.clone(), served.clone());
        tasks.push(tokio::spawn(async move {
            let guard = locks.acquire("job", LONG).await.unwrap();
            served.lock().unwrap().push((number, guard.fencing_token()));
            // Some are dropped and some released.
            if number % 2 == 0 { drop(guard) } else { assert_eq!(guard.release().await.unwrap(), Release::Released) }
        }));
        tokio::task::yield_now().await;
    }
    let before = first.fencing_token();
    first.release().await.unwrap();
    for task in tasks {
        soon("a turn", task).await.unwrap();
    }
    let served = served.lock().unwrap();
    assert_eq!(served.len(), 50);
    assert!(served.is_sorted_by(|one, two| one.1 < two.1) && before < served[0].1, "{served:?}");
    let mut order: Vec<_> = served.iter().map(|(number, _)| *number).collect();
    order.sort_unstable();
    assert!(order.into_iter().eq(0..50));
}

async fn other_processes_are_served_between_batches(backend: &Backend) {
    let (ours, theirs) = (manager(backend), manager(backend));
    let stop = Arc::new(AtomicU64::new(0));
    let busy: Vec<_> = (0..8)
        .map(|_| {
            let (ours, stop) = (ours.clone(), stop.clone());
            tokio::spawn(async move {
                while stop.load(Ordering::Relaxed) == 0 {
                    let guard = ours.acquire("job", LONG).await.unwrap();
                    tokio::task::yield_now().await;
                    drop(guard);
                }
            })
        })
        .collect();
    for _ in 0..5 {
        let asked = Instant::now();
        drop(soon("a turn among busy others", theirs.acquire("job", LONG)).await.unwrap());
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    }
    stop.store(1, Ordering::Relaxed);
    for task in busy {
        soon("an end", task).await.unwrap();
    }
}

async fn a_stolen_lock_is_not_passed_on(backend: &Backend) {
    let options = LockOptions::default().lease(Duration::from_millis(300));
    let locks = LockManager::new(backend.store.clone(), options).unwrap();
    let guard = locks.acquire("job", LONG).await.unwrap();
    let waiting = locks.clone();
    let waiter = tokio::spawn(async move { waiting.acquire("job", LONG).await });
    backend.store.delete(&["lock:{job}"]).await.unwrap();
    soon("the loss is known", guard.lost()).await;
    let before = guard.fencing_token();
    drop(guard);
    let next = soon("the next", waiter).await.unwrap().unwrap();
    assert!(next.fencing_token() > before);
    assert!(backend.store.exists("lock:{job}").await.unwrap(), "it has one of its own");
}

async fn a_place_in_line_outlives_whoever_gave_it_up(backend: &Backend) {
    let (holder, ours, theirs) = (manager(backend), manager(backend), manager(backend));
    let guard = holder.acquire("job", LONG).await.unwrap();
    let served = Arc::new(Mutex::new(Vec::new()));
    let wait = |locks: &LockManager, name: &'static str| {
        let (locks, served) = (locks.clone(), served.clone());
        tokio::spawn(async move {
            let guard = locks.acquire("job", LONG).await.unwrap();
            served.lock().unwrap().push(name);
            drop(guard);
        })
    };
    let waiting = |count| {
        let holder = &holder;
        async move { eventually("in line", || async { holder.inspect("job").await.unwrap().waiting == count }).await }
    };
    let first = wait(&ours, "first");
    waiting(1).await;
    let heir = wait(&ours, "heir");
    tokio::task::yield_now().await;
    let other = wait(&theirs, "other");
    waiting(2).await;
    first.abort();
    assert!(first.await.is_err());
    guard.release().await.unwrap();
    soon("the heir", heir).await.unwrap();
    soon("the other", other).await.unwrap();
    assert_eq!(*served.lock().unwrap(), ["heir", "other"]);
}

fn counted(options: LockOptions) -> (Counted, LockManager) {
    let count = Counted::default();
    let store = Layered::new(MemoryStore::new(), count.clone());
    (count, LockManager::new(Arc::new(store), options).unwrap())
}

async fn held_by_one_and_wanted_by(locks: &LockManager, tasks: usize) -> (LockGuard, Vec<tokio::task::JoinHandle<()>>) {
    let first = locks.acquire("job", LONG).await.unwrap();
    let wanted = (0..tasks).map(|_| {
        let locks = locks.clone();
        tokio::spawn(async move { drop(locks.acquire("job", LONG).await.unwrap()) })
    });
    let wanted = wanted.collect();
    tokio::task::yield_now().await;
    (first, wanted)
}

#[tokio::test]
async fn a_batch_costs_one_call_to_take_and_one_to_give_back() {
    let (count, locks) = counted(LockOptions::default());
    let (first, tasks) = held_by_one_and_wanted_by(&locks, 100).await;
    let before = count.0.load(Ordering::Relaxed);
    drop(first);
    for task in tasks {
        soon("a turn", task).await.unwrap();
    }
    eventually("given back", || async { locks.inspect("job").await.is_ok_and(|state| !state.held) }).await;
    let calls = count.0.load(Ordering::Relaxed) - before;
    assert!(calls < 20, "{calls} calls for 101 holders");
}

#[tokio::test]
async fn without_a_slice_every_holder_asks_the_server() {
    let (count, locks) = counted(LockOptions::default().local_slice(Duration::ZERO));
    let (first, tasks) = held_by_one_and_wanted_by(&locks, 20).await;
    let before = count.0.load(Ordering::Relaxed);
    drop(first);
    for task in tasks {
        soon("a turn", task).await.unwrap();
    }
    let calls = count.0.load(Ordering::Relaxed) - before;
    assert!(calls >= 40, "{calls} calls for 20 holders");
}

#[tokio::test]
async fn waits_that_were_given_up_do_not_pile_up_nor_stop_the_next() {
    let (_, locks) = counted(LockOptions::default());
    let first = locks.acquire("job", LONG).await.unwrap();
    for _ in 0..10_000 {
        let gave_up = tokio::time::timeout(Duration::ZERO, locks.acquire("job", LONG)).await;
        assert!(gave_up.is_err());
    }
    let waiting = locks.clone();
    let next = tokio::spawn(async move { waiting.acquire("job", LONG).await });
    tokio::task::yield_now().await;
    drop(first);
    assert!(soon("the next", next).await.unwrap().is_ok());
}
