//! Extension, loss and release.

use super::{LEASE, Mode, NO_WAIT, Nodes, options, timed};
use crate::backend::{eventually, soon};
use kv_core::Ttl;
use redis_lock::{LockError, Release, Renewal};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

#[tokio::test(start_paused = true)]
async fn extending_prolongs_the_lease_everywhere() {
    let nodes = Nodes::three();
    let guard = nodes.held().await;
    sleep(LEASE / 2).await;
    assert_eq!(guard.extend().await, Renewal::Renewed);
    assert!(guard.remaining() > LEASE * 9 / 10 && guard.remaining() < LEASE);
    for at in 0..3 {
        assert!(matches!(nodes.ttl(at).await, Ttl::Remaining(left) if left > LEASE * 9 / 10));
    }
}

#[tokio::test(start_paused = true)]
async fn an_extension_that_too_few_answer_is_unknown_and_harms_nothing() {
    let nodes = Nodes::three();
    let guard = nodes.held().await;
    let before = nodes.holders().await;
    for mode in [Mode::Mute, Mode::Down] {
        nodes.turn(0, mode);
        nodes.turn(2, mode);
        assert_eq!(guard.extend().await, Renewal::Unknown);
        assert!(guard.is_valid());
        sleep(Duration::from_secs(1)).await;
        assert_eq!(nodes.holders().await, before);
    }
    assert!(guard.remaining() < LEASE - Duration::from_secs(2), "nothing is claimed that is not sure");
    nodes.turn(0, Mode::Up);
    assert_eq!(guard.extend().await, Renewal::Renewed);
    assert_eq!(nodes.holders().await, before);
}

#[tokio::test(start_paused = true)]
async fn a_majority_that_is_gone_is_lost_and_lost_is_told() {
    let nodes = Nodes::three();
    for (first, second) in [(Some("thief"), Some("thief")), (None, None), (Some("thief"), None)] {
        let guard = nodes.held().await;
        for (at, holder) in [(1, first), (2, second)] {
            nodes.clear(at).await;
            if let Some(holder) = holder {
                nodes.put(at, holder).await;
            }
        }
        let lost = tokio::spawn(guard.lost());
        let before = nodes.holders().await;
        assert_eq!(timed(guard.extend()).await, (Duration::ZERO, Renewal::Lost));
        soon("the loss is told", lost).await.unwrap();
        assert!(!guard.is_valid() && guard.remaining().is_zero());
        assert_eq!(guard.extend().await, Renewal::Lost, "lost stays lost");
        assert_eq!(nodes.holders().await, before, "nothing is set or deleted");
        let expected = if second.is_some() { Release::Stolen } else { Release::AlreadyExpired };
        assert_eq!(guard.release().await.unwrap(), expected);
        for at in 0..3 {
            let thief = nodes.holders().await[at].as_deref() == Some(b"thief");
            assert_eq!(thief, (at == 1 && first.is_some()) || (at == 2 && second.is_some()));
            nodes.clear(at).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_one_server_loses_it_gets_back_and_a_thief_keeps_what_it_has() {
    let nodes = Nodes::three();
    let guard = nodes.held().await;
    nodes.clear(0).await;
    nodes.put(2, "thief").await;
    assert_eq!(guard.extend().await, Renewal::Lost, "no majority is left");
    drop(guard);
    for at in 0..3 {
        nodes.clear(at).await;
    }

    let guard = nodes.held().await;
    nodes.clear(0).await;
    assert_eq!(guard.extend().await, Renewal::Renewed);
    eventually("it is healed", || async { nodes.taken().await == 3 }).await;
    let holders = nodes.holders().await;
    assert_eq!(holders[0], holders[1]);
    assert!(matches!(nodes.ttl(0).await, Ttl::Remaining(_)));
    nodes.put(2, "thief").await;
    assert_eq!(guard.extend().await, Renewal::Renewed);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(nodes.holders().await[2].as_deref(), Some(&b"thief"[..]));
    assert_eq!(guard.release().await.unwrap(), Release::Released);
}

#[tokio::test(start_paused = true)]
async fn what_two_extensions_heal_is_given_back() {
    let nodes = Nodes::three();
    let guard = nodes.held().await;
    nodes.clear(0).await;
    let slow = Duration::from_millis(20);
    nodes.turn(0, Mode::Slow(slow));
    assert_eq!(guard.extend().await, Renewal::Renewed);
    sleep(slow / 2).await;
    assert_eq!(guard.extend().await, Renewal::Renewed);
    sleep(slow / 4).await;
    // The first heals at once, and the second finds the key taken: by us.
    nodes.turn(0, Mode::Up);
    sleep(slow * 2).await;
    assert_eq!(nodes.taken().await, 3);
    drop(guard);
    nodes.become_free().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_was_down_at_first_counts_when_it_is_back() {
    let nodes = Nodes::new(&[Mode::Up, Mode::Up, Mode::Down]);
    let guard = nodes.held().await;
    nodes.turn(2, Mode::Up);
    assert_eq!(guard.extend().await, Renewal::Renewed);
    eventually("it is healed", || async { nodes.taken().await == 3 }).await;
    nodes.turn(0, Mode::Down);
    assert_eq!(guard.extend().await, Renewal::Renewed);
    drop(guard);
    nodes.turn(0, Mode::Up);
    nodes.become_free().await;
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_renewed_for_as_long_as_the_guard_lives() {
    let nodes = Nodes::three();
    let locks = nodes.locks(options().lease(Duration::from_secs(1)).renew(true));
    let guard = locks.acquire("job", NO_WAIT).await.unwrap();
    let lost = guard.lost();
    assert!(timeout(Duration::from_secs(60), lost).await.is_err());
    assert!(guard.is_valid() && nodes.taken().await == 3);
    // Even while most of the servers are away for a while.
    nodes.turn(0, Mode::Mute);
    nodes.turn(1, Mode::Mute);
    sleep(Duration::from_millis(500)).await;
    nodes.turn(0, Mode::Up);
    assert!(timeout(Duration::from_secs(60), guard.lost()).await.is_err());
    drop(guard);
    nodes.turn(1, Mode::Up);
    nodes.become_free().await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(nodes.taken().await, 0);
}

#[tokio::test(start_paused = true)]
async fn lost_is_told_when_the_local_lease_ends() {
    let nodes = Nodes::three();
    let lease = Duration::from_secs(1);
    let guard = nodes.locks(options().lease(lease).renew(true)).acquire("job", NO_WAIT).await.unwrap();
    let since = Instant::now();
    nodes.turn(0, Mode::Mute);
    nodes.turn(1, Mode::Mute);
    soon("the loss is told", guard.lost()).await;
    assert_eq!(since.elapsed(), lease - Duration::from_millis(10 + 2));
    nodes.turn(0, Mode::Up);
    nodes.turn(1, Mode::Up);
    assert_eq!(guard.extend().await, Renewal::Lost, "what was told stays true");
}

#[tokio::test(start_paused = true)]
async fn an_extension_that_comes_too_late_is_lost() {
    let nodes = Nodes::three();
    let lease = Duration::from_secs(1);
    let guard = nodes.locks(options().lease(lease).node_timeout(lease / 2)).acquire("job", NO_WAIT).await.unwrap();
    sleep(Duration::from_millis(900)).await;
    let lost = guard.lost();
    for at in 0..3 {
        nodes.turn(at, Mode::Slow(Duration::from_millis(200)));
    }
    assert_eq!(guard.extend().await, Renewal::Lost);
    assert!(!guard.is_valid());
    soon("the loss is told", lost).await;
}

#[tokio::test(start_paused = true)]
async fn loss_is_not_told_of_what_is_given_back() {
    let nodes = Nodes::three();
    let (released, dropped) = (nodes.held().await, nodes.locks(options()).acquire("other", NO_WAIT).await.unwrap());
    let (first, second) = (released.lost(), dropped.lost());
    released.release().await.unwrap();
    drop(dropped);
    assert!(timeout(LEASE * 10, first).await.is_err());
    assert!(timeout(LEASE * 10, second).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_release_that_too_few_answer_is_an_error_and_happens_later() {
    let nodes = Nodes::three();
    for mode in [Mode::Down, Mode::Mute] {
        let guard = nodes.held().await;
        let before = nodes.holders().await;
        nodes.turn(1, mode);
        nodes.turn(2, Mode::Down);
        let error = guard.release().await.unwrap_err();
        assert!(matches!(&error, LockError::Store(_)) && error.is_temporary(), "{error}");
        assert_eq!(nodes.holders().await[2], before[2]);
        nodes.turn(1, Mode::Up);
        nodes.turn(2, Mode::Up);
        nodes.become_free().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_away_for_long_gets_its_release_when_it_is_back() {
    let nodes = Nodes::three();
    let guard = nodes.held().await;
    nodes.turn(2, Mode::Down);
    assert_eq!(guard.release().await.unwrap(), Release::Released);
    sleep(LEASE / 2).await;
    assert_eq!(nodes.taken().await, 1);
    nodes.turn(2, Mode::Up);
    nodes.become_free().await;
}
