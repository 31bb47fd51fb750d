//! Who gets the lock, and when that is decided.

use super::{KEY, LEASE, Mode, NO_WAIT, Nodes, options, timed};
use crate::backend::eventually;
use kv_core::{ErrorKind, Executed, KvStore, KvStoreExt, MemoryStore};
use redis_lock::{LockError, QuorumAcquire, QuorumManager, QuorumOptions, Release};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

const MILLI: Duration = Duration::from_millis(1);

fn store_error(tried: Result<QuorumAcquire, LockError>) -> kv_core::Error {
    match tried {
        Err(LockError::Store(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_held_lock_is_held_and_a_released_one_is_free() {
    let nodes = Nodes::three();
    let (ours, theirs) = (nodes.locks(options()), nodes.locks(options()));
    let guard = ours.try_acquire("job").await.unwrap().acquired().unwrap();
    for locks in [&ours, &theirs] {
        assert!(matches!(locks.try_acquire("job").await.unwrap(), QuorumAcquire::Held));
    }
    assert!(theirs.try_acquire("other").await.unwrap().acquired().is_some());
    let holders = nodes.holders().await;
    let token = holders[0].clone().unwrap();
    assert!(token.len() == 32 && token.iter().all(u8::is_ascii_hexdigit));
    assert_eq!(holders, vec![Some(token); 3]);
    assert_eq!(guard.release().await.unwrap(), Release::Released);
    nodes.become_free().await;
    assert!(theirs.try_acquire("job").await.unwrap().acquired().is_some());
}

#[tokio::test(start_paused = true)]
async fn any_number_of_servers_will_do() {
    for count in 1..=5 {
        let nodes = Nodes::new(&vec![Mode::Up; count]);
        for down in 0..=count {
            for at in 0..count {
                nodes.turn(at, if at < down { Mode::Down } else { Mode::Up });
            }
            let tried = nodes.locks(options()).try_acquire("job").await;
            assert_eq!(tried.is_ok(), count - down > count / 2, "{count} servers, {down} down");
            drop(tried);
            nodes.become_free().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_hung_server_of_three_costs_nothing() {
    let nodes = Nodes::three();
    for hung in 0..3 {
        nodes.turn(hung, Mode::Mute);
        let locks = nodes.locks(options().renew(true));
        let (took, guard) = timed(locks.acquire("job", NO_WAIT)).await;
        let guard = guard.unwrap();
        assert_eq!(took, Duration::ZERO);
        let (took, held) = timed(locks.try_acquire("job")).await;
        assert!(took.is_zero() && matches!(held.unwrap(), QuorumAcquire::Held));
        let (took, renewal) = timed(guard.extend()).await;
        assert!(took.is_zero() && renewal == redis_lock::Renewal::Renewed);
        let (took, released) = timed(guard.release()).await;
        assert!(took.is_zero() && released.unwrap() == Release::Released);
        nodes.turn(hung, Mode::Up);
        nodes.become_free().await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_servers_down_are_an_error_and_never_held() {
    let nodes = Nodes::new(&[Mode::Down, Mode::Up, Mode::Down]);
    let locks = nodes.locks(options());
    let error = store_error(locks.try_acquire("job").await);
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Unavailable, Executed::Maybe), "{error}");
    nodes.become_free().await;

    let (took, waited) = timed(locks.acquire("job", Duration::from_secs(1))).await;
    let error = waited.unwrap_err();
    assert!(matches!(&error, LockError::Store(_)) && error.is_temporary(), "{error}");
    assert!(took >= Duration::from_secs(1) && took < Duration::from_millis(1200), "{took:?}");
    nodes.become_free().await;

    nodes.turn(0, Mode::Mute);
    let (took, tried) = timed(locks.try_acquire("job")).await;
    store_error(tried);
    assert_eq!(took.as_millis(), 50, "the default time-out for a long lease");
    nodes.turn(0, Mode::Up);
    nodes.become_free().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_fails_fast_does_not_hide_that_the_lock_is_held() {
    let nodes = Nodes::new(&[Mode::Down, Mode::Slow(MILLI), Mode::Slow(MILLI * 2)]);
    nodes.put(1, "other").await;
    nodes.put(2, "other").await;
    let (took, tried) = timed(nodes.locks(options()).try_acquire("job")).await;
    assert!(matches!(tried.unwrap(), QuorumAcquire::Held));
    assert_eq!(took, MILLI * 2);
    // One says held and one gives the lock: nobody knows about the third.
    nodes.clear(1).await;
    store_error(nodes.locks(options()).try_acquire("job").await);
    eventually("the vote is given back", || async { nodes.holders().await[1].is_none() }).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_election_gives_its_votes_back_before_the_last_answers() {
    let (slow, slower) = (Duration::from_secs(1), Duration::from_secs(5));
    let nodes = Nodes::new(&[Mode::Up, Mode::Up, Mode::Up, Mode::Up, Mode::Up, Mode::Slow(slow), Mode::Slow(slower)]);
    for at in 1..5 {
        nodes.put(at, "other").await;
    }
    let locks = nodes.locks(options().node_timeout(slower * 2));
    let (took, tried) = timed(locks.try_acquire("job")).await;
    assert!(took.is_zero() && matches!(tried.unwrap(), QuorumAcquire::Held));
    let freed =
        async |at: usize| timed(eventually("it is free", || async { nodes.holders().await[at].is_none() })).await.0;
    assert!(freed(0).await < slow / 10);
    nodes.turn(5, Mode::Up);
    assert!((slow / 2..slow * 2).contains(&freed(5).await), "as soon as it has answered");
    nodes.turn(6, Mode::Up);
    assert!((slower / 2..slower).contains(&freed(6).await));
}

#[tokio::test(start_paused = true)]
async fn a_late_yes_belongs_to_the_guard() {
    let nodes = Nodes::new(&[Mode::Up, Mode::Up, Mode::Slow(MILLI * 20)]);
    let guard = nodes.held().await;
    tokio::time::sleep(MILLI * 30).await;
    assert_eq!(nodes.taken().await, 3);
    drop(guard);
    nodes.become_free().await;

    // It answers after the guard is gone.
    nodes.held().await.release().await.unwrap();
    nodes.become_free().await;
    tokio::time::sleep(MILLI * 100).await;
    assert_eq!(nodes.taken().await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_late_yes_costs_nothing_more() {
    let nodes = Nodes::new(&[Mode::Up, Mode::Up, Mode::Slow(MILLI * 20)]);
    nodes.held().await.release().await.unwrap();
    tokio::time::sleep(MILLI * 100).await;
    assert_eq!([nodes.calls(0), nodes.calls(1), nodes.calls(2)], [2; 3]);
}

#[tokio::test(start_paused = true)]
async fn validity_is_what_is_left_of_the_lease() {
    let slow = Duration::from_millis(30);
    let nodes = Nodes::new(&[Mode::Up, Mode::Slow(slow), Mode::Slow(slow)]);
    let lease = Duration::from_millis(1000);
    let locks = nodes.locks(options().lease(lease));
    let guard = locks.acquire("job", NO_WAIT).await.unwrap();
    assert_eq!(guard.remaining(), lease - slow - Duration::from_millis(10 + 2));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(guard.remaining(), Duration::from_millis(500 - 30 - 12));
    tokio::time::sleep(Duration::from_millis(458)).await;
    assert!(!guard.is_valid() && guard.remaining().is_zero());
    drop(guard);
    nodes.become_free().await;

    let strict = nodes.locks(options().lease(lease).min_validity(Duration::from_millis(970)));
    let error = store_error(strict.try_acquire("job").await);
    assert_eq!(error.kind(), ErrorKind::Timeout);
    nodes.become_free().await;
}

#[tokio::test(start_paused = true)]
async fn a_foreign_lock_under_the_same_key_excludes_ours_and_ours_excludes_it() {
    let nodes = Nodes::three();
    let locks = nodes.locks(options().key_prefix(""));
    let foreign = |at: usize| {
        let node = nodes.0[at].inner();
        async move { node.set_nx_px("job", b"foreign", LEASE).await.unwrap() }
    };
    assert!(foreign(0).await && foreign(1).await);
    assert!(matches!(locks.try_acquire("job").await.unwrap(), QuorumAcquire::Held));
    nodes.0[1].inner().delete(&["job"]).await.unwrap();
    eventually("the third is free", || async { !nodes.0[2].inner().exists("job").await.unwrap() }).await;
    // A minority does not stop us, and keeps its key.
    let guard = locks.acquire("job", NO_WAIT).await.unwrap();
    assert!(!foreign(1).await && !foreign(2).await);
    assert_eq!(guard.release().await.unwrap(), Release::Released);
    assert_eq!(nodes.0[0].inner().get("job").await.unwrap().unwrap(), "foreign");
}

#[tokio::test(start_paused = true)]
async fn acquire_waits_for_release_and_gives_up_in_time() {
    let nodes = Nodes::three();
    let guard = nodes.held().await;
    let locks = nodes.locks(options());
    let (took, waited) = timed(locks.acquire("job", Duration::from_millis(300))).await;
    assert!(matches!(waited.unwrap_err(), LockError::Timeout));
    assert_eq!(took.as_millis(), 300);
    let waiter = tokio::spawn(async move { locks.acquire("job", LEASE).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!waiter.is_finished());
    guard.release().await.unwrap();
    let (took, guard) = timed(waiter).await;
    assert!(guard.unwrap().unwrap().is_valid() && took <= Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn sections_never_overlap() {
    let nodes = Nodes::new(&[Mode::Stepping, Mode::Slow(MILLI), Mode::Mute, Mode::Up, Mode::Stepping]);
    let (inside, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let tasks: Vec<_> = (0..6)
        .map(|_| {
            let locks = nodes.locks(options());
            let (inside, done) = (inside.clone(), done.clone());
            tokio::spawn(async move {
                for _ in 0..10 {
                    let guard = locks.acquire("job", LEASE * 10).await.unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two holders");
                    tokio::time::sleep(MILLI).await;
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
    assert_eq!(done.load(Ordering::SeqCst), 60);
}

#[tokio::test]
async fn what_can_never_work_is_refused() {
    let stores = |count: usize| (0..count).map(|_| Arc::new(MemoryStore::new()) as Arc<dyn KvStore>).collect();
    let refused = |stores: Vec<Arc<dyn KvStore>>, options: QuorumOptions| {
        let error = QuorumManager::new(stores, options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        error.to_string()
    };
    assert!(refused(stores(0), options()).contains("stores"));
    let one: Arc<dyn KvStore> = Arc::new(MemoryStore::new());
    assert!(refused(vec![one.clone(), stores(1)[0].clone(), one], options()).contains("same one twice"));
    let second = Duration::from_secs(1);
    for (options, field) in [
        (options().lease(MILLI), "lease"),
        (options().lease(Duration::MAX), "lease"),
        (options().lease(second).node_timeout(second), "node_timeout"),
        (options().node_timeout(NO_WAIT), "node_timeout"),
        (options().lease(second).min_validity(second), "min_validity"),
        (options().retry_min(NO_WAIT), "retry_min"),
    ] {
        assert!(refused(stores(3), options).contains(field));
    }
    let shortest = QuorumManager::new(stores(3), options().lease(MILLI * 10)).unwrap();
    assert_eq!(store_error(shortest.try_acquire("").await).kind(), ErrorKind::InvalidInput);
    let outside = std::thread::spawn(move || QuorumManager::new(stores(3), options()).unwrap_err());
    assert_eq!(outside.join().unwrap().kind(), ErrorKind::InvalidConfig);
}

#[tokio::test(start_paused = true)]
async fn the_key_is_the_prefix_and_the_name_as_they_are() {
    let nodes = Nodes::three();
    let _guard = nodes.held().await;
    assert!(nodes.0[0].inner().exists(KEY).await.unwrap());
    let _other = nodes.locks(options().key_prefix("{a}")).acquire("}b", NO_WAIT).await.unwrap();
    assert!(nodes.0[0].inner().exists("{a}}b").await.unwrap());
}
