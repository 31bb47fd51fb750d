use super::{Way, front, limiter};
use crate::{
    backend::{cases, eventually},
    cancellation::{at_every_await, poll_times, stepping},
};
use kv_core::MemoryStore;
use proptest::prelude::*;
use redis_ratelimit::{FrontLimiter, FrontOptions, LeaseOptions, Quota, Source};
use std::{sync::atomic::Ordering, time::Duration};
use tokio::{
    task::JoinSet,
    time::{Instant, advance, sleep},
};

fn options() -> FrontOptions {
    FrontOptions::default().lease(LeaseOptions::default())
}

/// Checks one after the other; how many were admitted, and how many of them by a lease.
async fn spend(limiter: &FrontLimiter, checks: u64, pause: Duration) -> (u64, u64) {
    let (mut admitted, mut leased) = (0, 0);
    for _ in 0..checks {
        let answer = limiter.check("ada").await.unwrap();
        admitted += u64::from(answer.is_allowed());
        leased += u64::from(answer.source == Source::Lease);
        // A sleep would last a millisecond at least.
        advance(pause).await;
    }
    (admitted, leased)
}

#[tokio::test(start_paused = true)]
async fn a_busy_id_asks_the_store_once_for_many_and_a_slow_one_each_time() {
    let (way, memory) = (Way::default(), MemoryStore::new());
    let limiter = front(&way.to(&memory), Quota::per_second(1_000_000), options());
    // 10,000 in a second: a hundred at a time after the first.
    let (admitted, leased) = spend(&limiter, 10_000, Duration::from_micros(100)).await;
    assert_eq!(admitted, 10_000);
    assert!(way.calls() <= 10_000 / 50 + 20, "{}", way.calls());
    assert!(leased > 9700, "{leased}");
    sleep(Duration::from_secs(5)).await;
    let before = way.calls();
    spend(&limiter, 100, Duration::from_millis(20)).await;
    assert_eq!(way.calls() - before, 100);
}

#[tokio::test(start_paused = true)]
async fn one_process_spends_all_of_a_quota_and_no_more() {
    for burst in [1, 2, 3, 10, 100, 1000, 5000] {
        let memory = MemoryStore::new();
        let limiter = front(&memory, Quota::per_day(burst), options());
        let (admitted, leased) = spend(&limiter, burst + 100, Duration::ZERO).await;
        assert_eq!(admitted, burst);
        assert_eq!(leased > 0, burst >= 10, "{leased} of {burst}");
        let last = limiter.check("ada").await.unwrap();
        assert!(!last.is_allowed() && last.source == Source::Store);
    }
}

#[tokio::test(start_paused = true)]
async fn costs_beyond_one_are_paid_whole_or_not_at_all() {
    let memory = MemoryStore::new();
    let limiter = front(&memory, Quota::per_day(1000), options());
    let (mut spent, mut denied) = (0, 0);
    for number in 0..1000 {
        let n = [1, 7, 2, 31, 3][number % 5];
        let answer = limiter.check_n("ada", n).await.unwrap();
        if answer.is_allowed() { spent += n } else { denied += 1 }
    }
    assert!(denied > 0);
    assert_eq!(spent, 1000);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_spent_is_given_back_in_time_by_hand_and_by_dropping() {
    let memory = MemoryStore::new();
    let remaining = || async { limiter(&memory, Quota::per_day(10_000)).peek("ada").await.unwrap().remaining() };
    let held = |limiter: FrontLimiter| async move { spend(&limiter, 50, Duration::ZERO).await };
    let limiter = front(&memory, Quota::per_day(10_000), options());
    held(limiter.clone()).await;
    assert!(remaining().await < 9950, "some are held");
    limiter.return_leases().await.unwrap();
    assert_eq!(remaining().await, 9950);

    held(limiter.clone()).await;
    assert!(remaining().await < 9900);
    sleep(Duration::from_millis(401)).await;
    assert_eq!(remaining().await, 9900, "after their time");

    held(limiter.clone()).await;
    assert!(remaining().await < 9850);
    drop(limiter);
    eventually("dropped", || async { remaining().await == 9850 }).await;
}

#[tokio::test(start_paused = true)]
async fn units_are_not_spent_after_their_time() {
    let memory = MemoryStore::new();
    let limiter = front(&memory, Quota::per_day(10_000), options());
    loop {
        if limiter.check("ada").await.unwrap().source == Source::Lease {
            break;
        }
    }
    // No task has its turn in between.
    advance(Duration::from_millis(200)).await;
    assert_eq!(limiter.check("ada").await.unwrap().source, Source::Store);
}

#[tokio::test(start_paused = true)]
async fn ids_that_nobody_asks_for_are_forgotten() {
    let (way, memory) = (Way::default(), MemoryStore::new());
    let options = FrontOptions::default().lease(LeaseOptions::default().ids(64));
    let limiter = front(&way.to(&memory), Quota::per_day(1000), options);
    for id in 0..1000 {
        for _ in 0..20 {
            assert!(limiter.check(&id.to_string()).await.unwrap().is_allowed());
        }
    }
    sleep(Duration::from_secs(1)).await;
    // Those that had to go gave back what they had as well.
    let direct = limiter_of(&memory);
    for id in 0..1000 {
        assert_eq!(direct.peek(&id.to_string()).await.unwrap().remaining(), 980, "{id}");
    }
    sleep(Duration::from_secs(2)).await;
    let calls = way.calls();
    sleep(Duration::from_secs(60)).await;
    assert_eq!(way.calls(), calls, "nothing is left to do");
}

fn limiter_of(memory: &MemoryStore) -> redis_ratelimit::RateLimiter {
    limiter(memory, Quota::per_day(1000))
}

#[tokio::test]
async fn a_dropped_check_keeps_what_it_took_ahead() {
    at_every_await(|polls| async move {
        let store = stepping();
        let limiter = front(&store, Quota::per_day(1000), options().processes(1));
        // The fourth takes some ahead.
        let mut checked = 0;
        for _ in 0..3 {
            limiter.check("ada").await.unwrap();
            checked += 1;
        }
        while limiter.limiter().peek("ada").await.unwrap().remaining() != 1000 - checked {
            limiter.check("ada").await.unwrap();
            checked += 1;
        }
        let done = poll_times(polls, limiter.check("ada")).await.is_some();
        eventually("nothing is lost but the check itself", || async {
            limiter.return_leases().await.unwrap();
            let left = limiter.limiter().peek("ada").await.unwrap().remaining();
            left == 1000 - checked || left == 1000 - checked - 1
        })
        .await;
        done
    })
    .await;
}

#[tokio::test]
async fn a_lost_reply_is_an_error_and_neither_asked_again_nor_spent() {
    let store = stepping();
    let limiter = front(&store, Quota::per_day(1000), options());
    let mut before;
    loop {
        before = limiter.limiter().peek("ada").await.unwrap().remaining();
        store.layer().lose_next_reply();
        let answer = limiter.check("ada").await;
        store.layer().lose_next.store(false, Ordering::SeqCst);
        let Err(error) = answer else { continue };
        assert_eq!(error.executed(), kv_core::Executed::Maybe);
        let after = limiter.limiter().peek("ada").await.unwrap().remaining();
        if before - after > 1 {
            break;
        }
        limiter.check("ada").await.unwrap();
    }
    // Taken once, and lost: the safe side.
    assert_ne!(limiter.check("ada").await.unwrap().source, Source::Lease);
}

proptest! {
    #![proptest_config(cases(120))]

    /// Over all processes no span admits more than `burst + processes * units + limit * t / period`.
    #[test]
    fn no_span_admits_more_than_the_bound(
        processes in 1usize..4, units in 2u64..20, burst in 1u64..60, limit in 1u64..2000,
        bursts in prop::collection::vec(
            (0usize..4, 1u64..60, 1u64..4, 1u64..6, 0u64..800, prop_oneof![4 => 0u64..20_000, 1 => 0u64..700_000], prop::bool::weighted(0.1)),
            1..12,
        ),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let memory = MemoryStore::new();
            let quota = Quota::per_second(limit).burst(burst);
            let lease = LeaseOptions::default().units(units);
            let way = Way::default();
            way.0.there.store(1000, Ordering::SeqCst);
            way.0.back.store(1000, Ordering::SeqCst);
            let process = || front(&way.to(&memory), quota, FrontOptions::default().lease(lease).processes(processes as u32));
            let mut limiters: Vec<FrontLimiter> = (0..processes).map(|_| process()).collect();
            let started = Instant::now();
            let mut admitted: Vec<(u128, u64)> = Vec::new();
            for (of, checks, cost, together, between, pause, drops) in bursts {
                let at = of % processes;
                for _ in 0..checks.div_ceil(together) {
                    let limiter = limiters[at].clone();
                    let check = || {
                        let limiter = limiter.clone();
                        async move {
                            let answer = limiter.check_n("ada", cost).await.unwrap();
                            answer.is_allowed().then(|| started.elapsed().as_micros())
                        }
                    };
                    let checks: JoinSet<_> = (0..together).map(|_| check()).collect();
                    let mut times: Vec<u128> = checks.join_all().await.into_iter().flatten().collect();
                    times.sort_unstable();
                    admitted.extend(times.into_iter().map(|time| (time, cost)));
                    sleep(Duration::from_micros(between)).await;
                }
                if drops {
                    limiters[at] = process();
                }
                sleep(Duration::from_micros(pause)).await;
            }
            let most = u128::from(burst) + processes as u128 * u128::from(units);
            for (first, (from, _)) in admitted.iter().enumerate() {
                let mut taken = 0;
                for (until, cost) in &admitted[first..] {
                    taken += u128::from(*cost);
                    // What is asked for is admitted up to a round trip, or two one after the other, before it is told.
                    let span = until - from + 4000;
                    prop_assert!(taken * 1_000_000 <= most * 1_000_000 + u128::from(limit) * span);
                }
            }
            Ok(())
        })?;
    }
}
