//! Futures and guards that are dropped.

use super::{KEY, LEASE, Mode, NO_WAIT, Nodes, options};
use crate::{
    backend::eventually,
    cancellation::{at_every_await, poll_times},
};
use kv_core::{KvStore, MemoryStore};
use redis_lock::{QuorumManager, Release};
use std::{sync::Arc, time::Duration};
use tokio::{runtime, time::sleep};

fn stepping() -> Nodes {
    Nodes::new(&[Mode::Stepping; 3])
}

#[tokio::test(start_paused = true)]
async fn a_dropped_acquisition_leaves_nothing_behind() {
    at_every_await(|polls| async move {
        let nodes = stepping();
        let done = poll_times(polls, nodes.locks(options()).acquire("job", NO_WAIT)).await.is_some();
        // What is under way has its turn, too.
        sleep(Duration::from_millis(100)).await;
        nodes.become_free().await;
        done
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_dropped_wait_leaves_the_lock_to_its_holder() {
    for polls in 0..10 {
        let nodes = stepping();
        let guard = nodes.held().await;
        assert!(poll_times(polls, nodes.locks(options()).acquire("job", LEASE)).await.is_none());
        sleep(Duration::from_millis(100)).await;
        assert_eq!(guard.release().await.unwrap(), Release::Released);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_release_releases() {
    at_every_await(|polls| async move {
        let nodes = stepping();
        let guard = nodes.held().await;
        let done = poll_times(polls, guard.release()).await.is_some();
        nodes.become_free().await;
        done
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_dropped_extension_keeps_the_lock() {
    at_every_await(|polls| async move {
        let nodes = stepping();
        let guard = nodes.held().await;
        let done = poll_times(polls, guard.extend()).await.is_some();
        assert!(guard.is_valid());
        assert_eq!(guard.release().await.unwrap(), Release::Released);
        nodes.become_free().await;
        done
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn lost_replies_leave_nothing_behind() {
    let nodes = Nodes::new(&[Mode::Mute; 3]);
    assert!(nodes.locks(options()).try_acquire("job").await.is_err());
    for at in 0..3 {
        nodes.turn(at, Mode::Up);
    }
    nodes.become_free().await;
}

#[tokio::test(start_paused = true)]
async fn what_arrives_after_its_release_is_released_too() {
    let nodes = Nodes::new(&[Mode::Up, Mode::Up, Mode::Stuck]);
    let guard = nodes.held().await;
    let token = nodes.holders().await[0].clone().unwrap();
    sleep(Duration::from_secs(1)).await;
    nodes.turn(2, Mode::Up);
    assert_eq!(guard.release().await.unwrap(), Release::Released);
    sleep(Duration::from_secs(1)).await;
    nodes.put(2, std::str::from_utf8(&token).unwrap()).await;
    nodes.become_free().await;
}

#[tokio::test]
async fn a_guard_may_be_dropped_anywhere() {
    let nodes = Nodes::three();
    let guard = nodes.held().await;
    std::thread::spawn(move || drop(guard)).join().unwrap();
    nodes.become_free().await;
    // The manager is gone before its guard.
    let guard = nodes.held().await;
    eventually("all have it", || async { nodes.taken().await == 3 }).await;
    drop(guard);
    nodes.become_free().await;
}

#[test]
fn without_its_runtime_nothing_panics() {
    let stores: Vec<Arc<dyn KvStore>> = (0..3).map(|_| Arc::new(MemoryStore::new()) as Arc<dyn KvStore>).collect();
    let first = stores[0].clone();
    let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (locks, guard, lost) = runtime.block_on(async {
        let locks = QuorumManager::new(stores, options().renew(true)).unwrap();
        let guard = locks.acquire("job", NO_WAIT).await.unwrap();
        let lost = guard.lost();
        (locks, guard, lost)
    });
    drop(runtime);
    let other = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    other.block_on(async {
        assert!(locks.try_acquire("job").await.is_err());
        assert_eq!(guard.extend().await, redis_lock::Renewal::Unknown);
        assert!(guard.release().await.is_err());
        assert!(poll_times(3, lost).await.is_none());
        assert!(first.exists(KEY).await.unwrap(), "the lease ends it");
    });
}
