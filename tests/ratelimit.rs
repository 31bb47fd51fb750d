use crate::backend::{Backend, cases, on_every_backend};
use kv_core::{Clock, ErrorKind, MemoryStore, SetOptions, Ttl};
use proptest::prelude::*;
use redis_ratelimit::{Decision, Quota, RateLimitOptions, RateLimiter};
use std::{sync::Arc, time::Duration};

on_every_backend!(
    a_burst_is_admitted_and_then_denied,
    a_denial_takes_nothing,
    more_than_the_burst_is_never_admitted,
    peek_takes_nothing,
    reset_frees_the_burst,
    ids_do_not_share,
    concurrent_checks_never_exceed_the_burst,
    something_else_under_the_key_is_no_free_pass,
    a_bucket_expires,
);

fn limiter(backend: &Backend, quota: Quota) -> RateLimiter {
    RateLimiter::new(backend.store.clone(), quota, RateLimitOptions::default()).unwrap()
}

async fn a_burst_is_admitted_and_then_denied(backend: &Backend) {
    let limiter = limiter(backend, Quota::per_hour(10).burst(3));
    for left in [2, 1, 0] {
        let decision = limiter.check("ada").await.unwrap();
        assert!(decision.is_allowed());
        assert_eq!((decision.remaining(), decision.retry_after()), (left, Some(Duration::ZERO)));
    }
    let Decision::Denied { remaining: 0, retry_after: Some(retry_after), reset_after, banned: false } =
        limiter.check("ada").await.unwrap()
    else {
        panic!("must be denied")
    };
    assert!(retry_after <= Duration::from_secs(360) && retry_after > Duration::from_secs(350));
    assert!(reset_after <= Duration::from_secs(3 * 360) && reset_after > Duration::from_secs(3 * 350));
}

async fn a_denial_takes_nothing(backend: &Backend) {
    let limiter = limiter(backend, Quota::per_hour(10).burst(5));
    assert!(limiter.check_n("ada", 3).await.unwrap().is_allowed());
    for _ in 0..10 {
        let decision = limiter.check_n("ada", 3).await.unwrap();
        assert_eq!((decision.is_allowed(), decision.remaining()), (false, 2));
    }
    assert!(limiter.check_n("ada", 2).await.unwrap().is_allowed());
    assert!(limiter.check_n("ada", 0).await.unwrap().is_allowed());
}

async fn more_than_the_burst_is_never_admitted(backend: &Backend) {
    let limiter = limiter(backend, Quota::per_second(1_000_000).burst(5));
    for n in [6, 1000, u64::MAX] {
        let decision = limiter.check_n("ada", n).await.unwrap();
        assert_eq!((decision.is_allowed(), decision.remaining(), decision.retry_after()), (false, 5, None));
    }
    assert!(limiter.check_n("ada", 5).await.unwrap().is_allowed());
}

async fn peek_takes_nothing(backend: &Backend) {
    let limiter = limiter(backend, Quota::per_hour(1));
    for _ in 0..3 {
        let decision = limiter.peek("ada").await.unwrap();
        assert_eq!((decision.is_allowed(), decision.remaining()), (true, 1));
        assert_eq!(decision.reset_after(), Duration::ZERO);
    }
    assert!(!backend.store.exists("ratelimit:{ada}").await.unwrap());
    assert!(limiter.check("ada").await.unwrap().is_allowed());
    let decision = limiter.peek("ada").await.unwrap();
    assert_eq!((decision.is_allowed(), decision.remaining()), (false, 0));
    assert!(decision.retry_after().unwrap() > Duration::from_secs(3500));
}

async fn reset_frees_the_burst(backend: &Backend) {
    let limiter = limiter(backend, Quota::per_hour(2));
    assert!(limiter.check_n("ada", 2).await.unwrap().is_allowed());
    assert!(!limiter.check("ada").await.unwrap().is_allowed());
    limiter.reset("ada").await.unwrap();
    assert!(limiter.check_n("ada", 2).await.unwrap().is_allowed());
}

async fn ids_do_not_share(backend: &Backend) {
    let limiter = limiter(backend, Quota::per_hour(1));
    for id in ["a", "b", "a}", "{a", "a%7D", "10.0.0.1:443"] {
        assert!(limiter.check(id).await.unwrap().is_allowed(), "{id}");
        assert!(!limiter.check(id).await.unwrap().is_allowed(), "{id}");
    }
    assert_eq!(limiter.check("").await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

async fn concurrent_checks_never_exceed_the_burst(backend: &Backend) {
    let limiter = limiter(backend, Quota::per_day(50));
    let checks: Vec<_> = (0..200)
        .map(|_| {
            let limiter = limiter.clone();
            tokio::spawn(async move { limiter.check("ada").await.unwrap().is_allowed() })
        })
        .collect();
    let mut admitted = 0;
    for check in checks {
        admitted += u64::from(check.await.unwrap());
    }
    assert_eq!(admitted, 50);
}

async fn something_else_under_the_key_is_no_free_pass(backend: &Backend) {
    let limiter = limiter(backend, Quota::per_second(10));
    for garbage in ["", "garbage", "-5", "1e9", "0x10", " 12 ", "nan", "12:", ":5", "12:x", "1:2:3"] {
        backend.store.set("ratelimit:{ada}", garbage.as_bytes(), SetOptions::default()).await.unwrap();
        let checked = limiter.check("ada").await;
        if garbage == "12:" {
            assert!(checked.is_ok(), "an empty fraction is none");
            continue;
        }
        let error = checked.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{garbage:?}: {error}");
        assert_eq!(backend.store.get("ratelimit:{ada}").await.unwrap().unwrap(), garbage);
    }
    backend.put_other_type("ratelimit:{grace}").await;
    assert_eq!(limiter.check("grace").await.unwrap_err().kind(), ErrorKind::WrongType);

    // A time far ahead is a full bucket, and drains from now on.
    for far in ["9999999999999999", "99999999999999999999999999999999999999999999", "1:99999999999999999999999"] {
        backend.store.set("ratelimit:{ada}", far.as_bytes(), SetOptions::default()).await.unwrap();
        let decision = limiter.check("ada").await.unwrap();
        assert_eq!((decision.is_allowed(), decision.remaining()), (false, 0), "{far}");
        assert_eq!(decision.reset_after(), Duration::from_secs(1));
        assert_ne!(backend.store.get("ratelimit:{ada}").await.unwrap().unwrap(), far);
        assert!(matches!(backend.store.ttl("ratelimit:{ada}").await.unwrap(), Ttl::Remaining(_)));
    }
}

async fn a_bucket_expires(backend: &Backend) {
    let limiter = limiter(backend, Quota::per_minute(60).burst(120));
    limiter.check("ada").await.unwrap();
    let Ttl::Remaining(left) = backend.store.ttl("ratelimit:{ada}").await.unwrap() else { panic!("has a ttl") };
    assert!(left >= Duration::from_secs(120) && left <= Duration::from_secs(122), "{left:?}");
}

/// A limiter on a clock that stands still; none for a burst that takes more than a lifetime to refill.
fn still(quota: Quota) -> Option<(RateLimiter, Clock)> {
    let clock = Clock::manual(1_700_000_000_000_000);
    let store = Arc::new(MemoryStore::with_clock(clock.clone()));
    Some((RateLimiter::new(store, quota, RateLimitOptions::default()).ok()?, clock))
}

#[tokio::test]
async fn a_clock_that_jumps_back_locks_nobody_out_for_longer_than_a_full_bucket() {
    let (limiter, clock) = still(Quota::per_minute(60).burst(10)).unwrap();
    assert!(limiter.check_n("ada", 10).await.unwrap().is_allowed());
    clock.set_micros(clock.now_micros() - 3_600_000_000);
    let denied = limiter.check("ada").await.unwrap();
    assert_eq!((denied.remaining(), denied.retry_after()), (0, Some(Duration::from_secs(1))));
    clock.advance(Duration::from_secs(1));
    assert!(limiter.check("ada").await.unwrap().is_allowed(), "the denial wrote the shorter wait back");
    assert!(!limiter.check("ada").await.unwrap().is_allowed());
}

proptest! {
    #![proptest_config(cases(200))]

    /// The contract of the decision, for any quota: wait as long as told and the same request is admitted, a microsecond less
    /// and it is not; what remains can be taken; after the reset all of the burst is there.
    #[test]
    fn a_decision_keeps_its_word(
        limit in prop_oneof![1u64..50, Just(7), Just(999_983), Just(1_000_000)],
        period in prop_oneof![1u64..100_000, Just(60_000_000), Just(86_400_000_000)],
        burst in prop_oneof![1u64..20, Just(999_983)],
        steps in prop::collection::vec((0u64..2_000_000, 0u64..8), 1..30),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let quota = Quota::per(limit, Duration::from_micros(period)).burst(burst);
            let Some((limiter, clock)) = still(quota) else { return Ok(()) };
            for (pause, n) in steps {
                clock.advance(Duration::from_micros(pause));
                let decision = limiter.check_n("ada", n).await.unwrap();
                if decision.is_allowed() {
                    prop_assert_eq!(limiter.peek("ada").await.unwrap().remaining(), decision.remaining());
                    continue;
                }
                prop_assert!(decision.remaining() < n);
                let Some(wait) = decision.retry_after() else {
                    prop_assert!(n > burst);
                    continue;
                };
                let denied_at = clock.now_micros();
                clock.set_micros(denied_at + wait.as_micros() as i64 - 1);
                prop_assert!(!limiter.check_n("ada", n).await.unwrap().is_allowed());
                clock.set_micros(denied_at + wait.as_micros() as i64);
                prop_assert!(limiter.check_n("ada", n).await.unwrap().is_allowed());
            }
            let reset = limiter.peek("ada").await.unwrap().reset_after();
            clock.advance(reset);
            prop_assert_eq!(limiter.peek("ada").await.unwrap().remaining(), burst);
            Ok(())
        })?;
    }

    /// Never more than `burst + limit * t / period` in a span of time, counted in exact fractions.
    #[test]
    fn no_span_admits_more_than_the_quota(
        limit in 1u64..30, period in 1u64..1_000_000, burst in 1u64..10,
        pauses in prop::collection::vec(0u64..200_000, 1..80),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let quota = Quota::per(limit, Duration::from_micros(period)).burst(burst);
            let Some((limiter, clock)) = still(quota) else { return Ok(()) };
            let mut admitted: Vec<i64> = Vec::new();
            for pause in pauses {
                clock.advance(Duration::from_micros(pause));
                if limiter.check("ada").await.unwrap().is_allowed() {
                    admitted.push(clock.now_micros());
                }
            }
            for (first, from) in admitted.iter().enumerate() {
                for (count, until) in admitted[first..].iter().enumerate() {
                    let span = (until - from) as u128;
                    let taken = (count + 1) as u128;
                    prop_assert!(taken * u128::from(period)
                        <= u128::from(burst) * u128::from(period) + u128::from(limit) * span);
                }
            }
            Ok(())
        })?;
    }
}
