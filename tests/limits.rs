//! Several limits that a request has to keep at once.

use crate::backend::{Backend, on_every_backend};
use kv_core::{Clock, ErrorKind, MemoryStore, SetOptions};
use proptest::prelude::*;
use redis_ratelimit::{Decision, Quota, RateLimitOptions, RateLimiter, RateLimits};
use std::{sync::Arc, time::Duration};
use tokio::task::JoinSet;

on_every_backend!(
    all_limits_allow_or_none_is_charged,
    a_verdict_names_who_refuses_and_for_how_long,
    each_limit_may_have_an_id_and_a_cost_of_its_own,
    concurrent_requests_keep_every_limit,
    something_else_under_one_key_charges_nobody,
    as_many_as_there_are_are_granted,
    what_is_given_back_can_be_taken_again,
);

fn limits(backend: &Backend, each: &[(&'static str, Quota)]) -> RateLimits {
    RateLimits::new(backend.store.clone(), each.iter().copied(), RateLimitOptions::default()).unwrap()
}

async fn all_limits_allow_or_none_is_charged(backend: &Backend) {
    let limits = limits(backend, &[("few", Quota::per_hour(2)), ("many", Quota::per_hour(5))]);
    for left in [1, 0] {
        let verdict = limits.check("ada").await.unwrap();
        assert!(verdict.is_allowed() && verdict.retry_after() == Some(Duration::ZERO));
        assert_eq!(verdict.remaining(), left);
    }
    for _ in 0..10 {
        let verdict = limits.check("ada").await.unwrap();
        assert!(!verdict.is_allowed());
        assert_eq!(verdict.of("many").unwrap().remaining(), 3, "a denial takes nothing");
    }
    assert!(limits.check("grace").await.unwrap().is_allowed(), "ids do not share");
    limits.reset("ada").await.unwrap();
    assert_eq!(limits.check_n("ada", 2).await.unwrap().of("many").unwrap().remaining(), 3);
}

async fn a_verdict_names_who_refuses_and_for_how_long(backend: &Backend) {
    let limits =
        limits(backend, &[("day", Quota::per_day(1)), ("hour", Quota::per_hour(1)), ("more", Quota::per_hour(9))]);
    limits.check("ada").await.unwrap();
    let verdict = limits.check("ada").await.unwrap();
    assert_eq!(verdict.refused().collect::<Vec<_>>(), ["day", "hour"]);
    let longest = verdict.retry_after().unwrap();
    assert!(longest > Duration::from_secs(86_000) && longest <= Duration::from_secs(86_400), "{longest:?}");
    assert!(verdict.of("hour").unwrap().retry_after().unwrap() <= Duration::from_secs(3600));
    assert_eq!(limits.check_n("ada", 5).await.unwrap().retry_after(), None, "more than a day's will never do");
}

async fn each_limit_may_have_an_id_and_a_cost_of_its_own(backend: &Backend) {
    let limits = limits(backend, &[("requests", Quota::per_hour(2)), ("bytes", Quota::per_hour(1000))]);
    assert!(limits.check_each("acme", &[("ada", 1), ("acme", 900)]).await.unwrap().is_allowed());
    let verdict = limits.check_each("acme", &[("grace", 1), ("acme", 200)]).await.unwrap();
    assert_eq!(verdict.refused().collect::<Vec<_>>(), ["bytes"]);
    let verdict = limits.check_each("acme", &[("grace", 2), ("acme", 100)]).await.unwrap();
    assert!(verdict.is_allowed() && verdict.of("requests").unwrap().remaining() == 0);
    let error = limits.check_each("acme", &[("ada", 1)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

async fn concurrent_requests_keep_every_limit(backend: &Backend) {
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let limits = limits(backend, &[("few", Quota::per_day(20)), ("many", Quota::per_day(30))]);
        tasks.spawn(async move {
            let mut allowed = 0;
            for _ in 0..10 {
                allowed += u32::from(limits.check("ada").await.unwrap().is_allowed());
            }
            allowed
        });
    }
    assert_eq!(tasks.join_all().await.into_iter().sum::<u32>(), 20);
}

async fn something_else_under_one_key_charges_nobody(backend: &Backend) {
    let limits = limits(backend, &[("good", Quota::per_day(2)), ("bad", Quota::per_day(2))]);
    backend.store.set("ratelimit:{ada}:bad", b"garbage", SetOptions::default()).await.unwrap();
    assert_eq!(limits.check("ada").await.unwrap_err().kind(), ErrorKind::Corrupt);
    backend.store.delete(&["ratelimit:{ada}:bad"]).await.unwrap();
    assert_eq!(limits.check("ada").await.unwrap().of("good").unwrap().remaining(), 1);
}

async fn as_many_as_there_are_are_granted(backend: &Backend) {
    let limiter = RateLimiter::new(backend.store.clone(), Quota::per_day(5), RateLimitOptions::default()).unwrap();
    let mut granted = Vec::new();
    for n in [2, 0, 2, 7, 3] {
        let grant = limiter.check_at_most("ada", n).await.unwrap();
        assert_eq!(grant.decision.is_allowed(), grant.granted > 0 || n == 0, "{grant:?}");
        granted.push((grant.granted, grant.decision.remaining()));
    }
    assert_eq!(granted, [(2, 3), (0, 3), (2, 1), (1, 0), (0, 0)]);
    let Decision::Denied { retry_after: Some(retry_after), .. } =
        limiter.check_at_most("ada", 9).await.unwrap().decision
    else {
        panic!("nothing is left")
    };
    assert!(retry_after <= Duration::from_secs(86_400 / 5), "until the first of them is there: {retry_after:?}");
    assert_eq!(limiter.check_at_most("grace", u64::MAX).await.unwrap().granted, 5);
}

async fn what_is_given_back_can_be_taken_again(backend: &Backend) {
    let limiter = RateLimiter::new(backend.store.clone(), Quota::per_day(5), RateLimitOptions::default()).unwrap();
    assert!(limiter.check_n("ada", 5).await.unwrap().is_allowed());
    assert_eq!(limiter.refund("ada", 2).await.unwrap(), 2);
    assert_eq!(limiter.peek_n("ada", 2).await.unwrap().remaining(), 2);
    assert!(!limiter.peek_n("ada", 3).await.unwrap().is_allowed());
    // Never more than full.
    assert_eq!(limiter.refund("ada", u64::MAX).await.unwrap(), 5);
    assert_eq!(limiter.peek("ada").await.unwrap().remaining(), 5);
    assert!(!backend.store.exists("ratelimit:{ada}").await.unwrap(), "an empty bucket is none");
    assert_eq!(limiter.refund("nobody", 3).await.unwrap(), 5);
    assert_eq!(limiter.peek("nobody").await.unwrap().remaining(), 5);
}

#[test]
fn limits_that_cannot_be_are_refused() {
    let of = |limits: &[(&'static str, Quota)]| {
        RateLimits::new(Arc::new(MemoryStore::new()), limits.iter().copied(), RateLimitOptions::default())
    };
    let quota = Quota::per_second(1);
    let seventeen: Vec<(&str, Quota)> =
        ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q"]
            .map(|name| (name, quota))
            .into();
    for limits in [&[][..], &[("", quota)], &[("a:b", quota)], &[("a", quota), ("a", quota)], &seventeen[..]] {
        assert_eq!(of(limits).unwrap_err().kind(), ErrorKind::InvalidConfig);
    }
    assert!(of(&[("a", Quota::per_second(0))]).is_err());
    assert!(of(&seventeen[..16]).is_ok());
}

proptest! {
    #![proptest_config(crate::backend::cases(200))]

    /// Several limits together say what single ones would, each on its own, of a request that all allow, and charge nobody else.
    #[test]
    fn several_limits_are_as_many_single_ones(steps in prop::collection::vec((0u64..4, 0u64..700_000), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let memory = MemoryStore::with_clock(Clock::manual(1_700_000_000_000_000));
            let store = Arc::new(memory.clone());
            let quotas = [Quota::per_second(7).burst(3), Quota::per(11, Duration::from_secs(3))];
            let together =
                RateLimits::new(store.clone(), ["a", "b"].into_iter().zip(quotas), RateLimitOptions::default()).unwrap();
            let single = quotas.map(|quota| {
                let options = RateLimitOptions::default().prefix(format!("single-{}", quota.limit()));
                RateLimiter::new(store.clone(), quota, options).unwrap()
            });
            for (n, micros) in steps {
                memory.clock().advance(Duration::from_micros(micros));
                let verdict = together.check_n("ada", n).await.unwrap();
                let mut expected = Vec::new();
                for limiter in &single {
                    expected.push(limiter.peek_n("ada", n).await.unwrap());
                }
                let is_allowed = expected.iter().all(Decision::is_allowed);
                if is_allowed {
                    for (limiter, expected) in single.iter().zip(&mut expected) {
                        *expected = limiter.check_n("ada", n).await.unwrap();
                    }
                }
                assert_eq!(verdict.is_allowed(), is_allowed);
                assert_eq!(verdict.each().map(|(_, decision)| decision).collect::<Vec<_>>(), expected);
            }
        });
    }
}
