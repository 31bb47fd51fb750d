//! What a decision promises, for every algorithm and any quota: of the wait, of what remains, and of the reset.

use super::ALL;
use crate::backend::cases;
use governor::{Quota as Peer, RateLimiter as PeerLimiter, clock::FakeRelativeClock};
use kv_core::{Clock, MemoryStore};
use proptest::prelude::*;
use redis_ratelimit::{Algorithm, Quota, RateLimitOptions, RateLimiter};
use std::{num::NonZeroU32, sync::Arc, time::Duration};

/// A limiter on a clock that stands still; none for a quota that the algorithm cannot count.
fn still(quota: Quota) -> Option<(RateLimiter, Clock)> {
    let clock = Clock::manual(1_700_000_000_123_457);
    let store = Arc::new(MemoryStore::with_clock(clock.clone()));
    Some((RateLimiter::new(store, quota, RateLimitOptions::default()).ok()?, clock))
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// How many are admitted at most in a span, in requests times limit times period: none of these is a fraction.
fn bound(algorithm: Algorithm, (limit, period, burst): (u128, u128, u128), span: u128) -> u128 {
    match algorithm {
        Algorithm::Gcra => burst * period + limit * span,
        Algorithm::IntervalRefill => (burst + limit * span.div_ceil(period)) * period,
        Algorithm::SlidingLog => limit * (span / period + 1) * period,
        Algorithm::FixedWindow | Algorithm::SlidingWindow if span < period => (2 * limit - 1) * period,
        // Windows that a span touches.
        _ => limit * (span / period + 2) * period,
    }
}

#[test]
fn a_clock_that_jumps_back_keeps_nobody_out_for_longer_than_is_said() {
    for algorithm in ALL {
        for jump in [1, 999, 1_000_000, 1_500_000, 86_400_000_000] {
            // Full halfway through a window of a second, and nothing else is asked until the clock is back.
            let quota = Quota::per_second(4).algorithm(algorithm);
            let (limiter, clock) = still(quota).unwrap();
            assert!(block_on(limiter.check_n("ada", 4)).unwrap().is_allowed());
            clock.set_micros(clock.now_micros() - jump);
            let most = Duration::from_secs(if algorithm == Algorithm::SlidingWindow { 2 } else { 1 });
            let looked = block_on(limiter.peek_n("ada", 4)).unwrap();
            let denied = block_on(limiter.check_n("ada", 4)).unwrap();
            assert!(!denied.is_allowed(), "{algorithm:?}: what was taken is taken");
            assert_eq!((looked, denied.remaining()), (denied, 0), "{algorithm:?} by {jump}");
            let wait = denied.retry_after().unwrap();
            assert!(wait <= most, "{algorithm:?} by {jump}: {wait:?}");
            clock.advance(wait - Duration::from_micros(1));
            assert!(!block_on(limiter.check_n("ada", 4)).unwrap().is_allowed(), "{algorithm:?} by {jump}");
            clock.advance(Duration::from_micros(1));
            assert!(block_on(limiter.check_n("ada", 4)).unwrap().is_allowed(), "{algorithm:?} by {jump}");
        }
    }
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn every_decision_keeps_its_word(
        which in 0usize..ALL.len(),
        limit in prop_oneof![1u64..20, Just(97), Just(99_991), Just(999_983)],
        period in prop_oneof![1u64..50, 1000u64..2000, Just(999_983), Just(60_000_000), Just(2_592_000_000_000)],
        burst in prop::option::of(1u64..30),
        steps in prop::collection::vec((0u64..1500, 0u64..8, 0u64..3), 1..25),
    ) {
        block_on(async {
            let algorithm = ALL[which];
            let has_burst = matches!(algorithm, Algorithm::Gcra | Algorithm::IntervalRefill);
            let burst = burst.filter(|_| has_burst).unwrap_or(limit);
            let quota = Quota::per(limit, Duration::from_micros(period)).burst(burst).algorithm(algorithm);
            let Some((limiter, clock)) = still(quota) else { return Ok(()) };
            for (pause, few, edge) in steps {
                clock.advance(Duration::from_micros(period * pause / 1000));
                let before = limiter.peek_n("ada", few).await.unwrap();
                let n = [few, before.remaining(), before.remaining() + 1][edge as usize];
                let decision = limiter.check_n("ada", n).await.unwrap();
                prop_assert_eq!(decision.is_allowed(), n <= before.remaining());
                let left = decision.remaining();
                prop_assert_eq!(left, before.remaining() - if decision.is_allowed() { n } else { 0 });
                prop_assert!(limiter.peek_n("ada", left).await.unwrap().is_allowed());
                prop_assert!(!limiter.peek_n("ada", left + 1).await.unwrap().is_allowed());
                let Some(wait) = decision.retry_after() else {
                    prop_assert!(n > burst);
                    continue;
                };
                let denied_at = clock.now_micros();
                if !decision.is_allowed() {
                    prop_assert!(n <= burst && wait <= decision.reset_after());
                    clock.set_micros(denied_at + wait.as_micros() as i64 - 1);
                    prop_assert!(!limiter.check_n("ada", n).await.unwrap().is_allowed(), "a microsecond early");
                    clock.set_micros(denied_at + wait.as_micros() as i64);
                    prop_assert!(limiter.check_n("ada", n).await.unwrap().is_allowed(), "when it is due");
                }
            }
            let reset = limiter.peek("ada").await.unwrap().reset_after();
            if reset > Duration::ZERO {
                clock.advance(reset - Duration::from_micros(1));
                prop_assert!(limiter.peek("ada").await.unwrap().remaining() < burst);
                clock.advance(Duration::from_micros(1));
            }
            prop_assert!(limiter.check_n("ada", burst).await.unwrap().is_allowed());
            Ok(())
        })?;
    }

    #[test]
    fn no_span_admits_more_than_is_said(
        which in 0usize..ALL.len(),
        limit in 1u64..12, period in 1u64..1000, burst in prop::option::of(1u64..12),
        steps in prop::collection::vec((0u64..600, 1u64..4), 1..60),
    ) {
        block_on(async {
            let algorithm = ALL[which];
            let has_burst = matches!(algorithm, Algorithm::Gcra | Algorithm::IntervalRefill);
            let burst = burst.filter(|_| has_burst).unwrap_or(limit);
            let quota = Quota::per(limit, Duration::from_micros(period)).burst(burst).algorithm(algorithm);
            let Some((limiter, clock)) = still(quota) else { return Ok(()) };
            let mut admitted = Vec::new();
            for (pause, n) in steps {
                clock.advance(Duration::from_micros(pause));
                let granted = limiter.check_at_most("ada", n).await.unwrap().granted;
                admitted.push((clock.now_micros(), granted));
            }
            let terms = (limit.into(), period.into(), burst.into());
            for (first, (from, _)) in admitted.iter().enumerate() {
                let mut taken = 0;
                for (until, granted) in &admitted[first..] {
                    taken += u128::from(*granted) * u128::from(period);
                    let most = bound(algorithm, terms, (until - from) as u128);
                    prop_assert!(taken <= most, "{:?}: {} of {}", algorithm, taken, most);
                }
            }
            Ok(())
        })?;
    }

    /// governor is GCRA as well, in nanoseconds and of one request per so long.
    #[test]
    fn governor_is_of_the_same_mind(
        interval in 1u64..5000, burst in 1u32..20,
        steps in prop::collection::vec((0u64..6000, 1u32..8), 1..80),
    ) {
        block_on(async {
            let interval = Duration::from_micros(interval);
            let (limiter, clock) = still(Quota::per(1, interval).burst(burst.into())).unwrap();
            let burst = NonZeroU32::new(burst).unwrap();
            let peer = Peer::with_period(interval).unwrap().allow_burst(burst);
            let peers_clock = FakeRelativeClock::default();
            let peer = PeerLimiter::direct_with_clock(peer, peers_clock.clone());
            for (pause, n) in steps {
                clock.advance(Duration::from_micros(pause));
                peers_clock.advance(Duration::from_micros(pause));
                let n = NonZeroU32::new(n).unwrap();
                let ours = limiter.check_n("ada", n.get().into()).await.unwrap();
                match peer.check_n(n) {
                    Ok(Ok(())) => prop_assert!(ours.is_allowed()),
                    Ok(Err(denied)) => {
                        let wait = denied.wait_time_from(governor::clock::Clock::now(&peers_clock));
                        prop_assert_eq!((ours.is_allowed(), ours.retry_after()), (false, Some(wait)));
                    }
                    Err(_) => prop_assert_eq!((ours.is_allowed(), ours.retry_after()), (false, None)),
                }
            }
            Ok(())
        })?;
    }
}
