//! Every algorithm that counts by windows, and GCRA beside them.

mod agree;
mod contract;
mod model;
mod timed;

use crate::backend::{Backend, on_every_backend};
use kv_core::{ErrorKind, KvStore, MemoryStore, SetOptions, Ttl};
use redis_ratelimit::{
    Algorithm, Decision, FrontLimiter, FrontOptions, Quota, RateLimitOptions, RateLimiter, RateLimits,
    compat::{Flexible, FlexibleOptions, RedisRate, RedisRateOptions},
};
use std::{sync::Arc, time::Duration};

on_every_backend!(
    the_limit_is_admitted_and_no_more,
    what_is_there_is_granted_and_what_is_given_back_is_there,
    after_the_wait_the_same_is_admitted,
    concurrent_checks_never_exceed_the_limit,
    algorithms_and_periods_do_not_read_each_other,
    a_limit_is_lowered_and_raised,
    something_else_under_the_key_is_no_free_pass,
    a_window_expires,
);

const ALL: [Algorithm; 6] = [
    Algorithm::Gcra,
    Algorithm::FixedWindow,
    Algorithm::AlignedWindow,
    Algorithm::SlidingWindow,
    Algorithm::SlidingLog,
    Algorithm::IntervalRefill,
];

/// Those with windows, and what their keys are called after.
const WINDOWS: [(Algorithm, &str); 5] = [
    (Algorithm::FixedWindow, "fixed"),
    (Algorithm::AlignedWindow, "aligned"),
    (Algorithm::SlidingWindow, "sliding"),
    (Algorithm::SlidingLog, "log"),
    (Algorithm::IntervalRefill, "refill"),
];

/// So long that no window of it ends while a test runs: the next one of 50 years since 1970 in 2070.
const LONG: Duration = Duration::from_secs(50 * 365 * 24 * 60 * 60);

fn limiter(backend: &Backend, quota: Quota) -> RateLimiter {
    RateLimiter::new(backend.store.clone(), quota, RateLimitOptions::default()).unwrap()
}

async fn the_limit_is_admitted_and_no_more(backend: &Backend) {
    for algorithm in ALL {
        let limiter = limiter(backend, Quota::per(3, LONG).algorithm(algorithm));
        let id = format!("{algorithm:?}");
        let fresh = limiter.peek(&id).await.unwrap();
        assert_eq!(fresh, Decision::Allowed { remaining: 3, reset_after: Duration::ZERO }, "{algorithm:?}");
        assert!(!limiter.check_n(&id, 4).await.unwrap().is_allowed());
        assert_eq!(limiter.check_n(&id, u64::MAX).await.unwrap().retry_after(), None, "{algorithm:?}");
        for left in [2, 1, 0] {
            assert!(limiter.peek(&id).await.unwrap().is_allowed(), "{algorithm:?}");
            let decision = limiter.check(&id).await.unwrap();
            assert_eq!((decision.is_allowed(), decision.remaining()), (true, left), "{algorithm:?}");
            let denied = limiter.check_n(&id, 3).await.unwrap();
            assert_eq!((denied.is_allowed(), denied.remaining()), (false, left), "{algorithm:?}");
            let (wait, reset) = (denied.retry_after().unwrap(), denied.reset_after());
            assert!(wait > Duration::ZERO && wait <= reset && reset <= LONG * 2, "{algorithm:?}: {wait:?}");
        }
        assert!(!limiter.peek(&id).await.unwrap().is_allowed());
        assert!(limiter.check_n(&id, 0).await.unwrap().is_allowed(), "nothing is always allowed");
        assert!(limiter.check("somebody else").await.unwrap().is_allowed());
        limiter.reset("somebody else").await.unwrap();
    }
}

async fn what_is_there_is_granted_and_what_is_given_back_is_there(backend: &Backend) {
    for algorithm in ALL {
        let limiter = limiter(backend, Quota::per(5, LONG).algorithm(algorithm));
        let id = format!("{algorithm:?}");
        let most = async |n| {
            let grant = limiter.check_at_most(&id, n).await.unwrap();
            (grant.granted, grant.decision.is_allowed(), grant.decision.remaining())
        };
        assert_eq!(most(3).await, (3, true, 2), "{algorithm:?}");
        assert_eq!(most(u64::MAX).await, (2, true, 0), "{algorithm:?}");
        assert_eq!(most(1).await, (0, false, 0), "{algorithm:?}");
        assert_eq!(most(0).await, (0, true, 0), "{algorithm:?}");
        assert_eq!(limiter.refund(&id, 2).await.unwrap(), 2, "{algorithm:?}");
        assert_eq!(most(1).await, (1, true, 1), "{algorithm:?}");
        assert_eq!(limiter.refund(&id, u64::MAX).await.unwrap(), 5, "{algorithm:?}: never more than full");
        assert!(!backend.store.exists(&key(algorithm, &id, LONG)).await.unwrap(), "{algorithm:?}: nothing is left");
        assert_eq!(limiter.refund(&id, 1).await.unwrap(), 5, "{algorithm:?}");
        assert!(limiter.check_n(&id, 5).await.unwrap().is_allowed());
        limiter.reset(&id).await.unwrap();
        assert!(limiter.check_n(&id, 5).await.unwrap().is_allowed(), "{algorithm:?}");
    }
}

fn key(algorithm: Algorithm, id: &str, period: Duration) -> String {
    match WINDOWS.iter().find(|(windows, _)| *windows == algorithm) {
        Some((_, name)) => format!("ratelimit:{{{id}}}:{name}:{}", period.as_micros()),
        None => format!("ratelimit:{{{id}}}"),
    }
}

async fn after_the_wait_the_same_is_admitted(backend: &Backend) {
    for (algorithm, id) in WINDOWS {
        let limiter = limiter(backend, Quota::per(2, Duration::from_millis(150)).algorithm(algorithm));
        // On a slow machine a window may be over before it is asked again.
        let denied = async || loop {
            let decision = limiter.check_n(id, 2).await.unwrap();
            if !decision.is_allowed() {
                break decision;
            }
        };
        let wait = denied().await.retry_after().unwrap();
        assert!(wait <= Duration::from_millis(300), "{algorithm:?}: {wait:?}");
        backend.pass(wait).await;
        assert!(limiter.check_n(id, 2).await.unwrap().is_allowed(), "{algorithm:?}");
        backend.pass(denied().await.reset_after()).await;
        assert_eq!(limiter.peek(id).await.unwrap().remaining(), 2, "{algorithm:?}");
    }
}

async fn concurrent_checks_never_exceed_the_limit(backend: &Backend) {
    for (algorithm, id) in WINDOWS {
        let limiter = limiter(backend, Quota::per(20, LONG).algorithm(algorithm));
        let check = |n: u64| {
            let limiter = limiter.clone();
            tokio::spawn(async move { if limiter.check_n(id, n).await.unwrap().is_allowed() { n } else { 0 } })
        };
        let checks: Vec<_> = (0..60).map(|at| check(1 + at % 2)).collect();
        let mut admitted = 0;
        for check in checks {
            admitted += check.await.unwrap();
        }
        assert!(admitted == 20 || admitted == 19, "{algorithm:?}: {admitted}");
        assert_eq!(limiter.peek(id).await.unwrap().remaining(), 20 - admitted, "{algorithm:?}");
    }
}

async fn algorithms_and_periods_do_not_read_each_other(backend: &Backend) {
    for period in [LONG, LONG + Duration::from_micros(1)] {
        for algorithm in ALL {
            let limiter = limiter(backend, Quota::per(1, period).algorithm(algorithm));
            if algorithm == Algorithm::Gcra {
                limiter.reset("ada").await.unwrap();
            }
            assert!(limiter.check("ada").await.unwrap().is_allowed(), "{algorithm:?}");
            assert!(!limiter.check("ada").await.unwrap().is_allowed(), "{algorithm:?}");
            assert!(backend.store.exists(&key(algorithm, "ada", period)).await.unwrap(), "{algorithm:?}");
        }
    }
}

async fn a_limit_is_lowered_and_raised(backend: &Backend) {
    for (algorithm, id) in WINDOWS {
        let limiter = |limit| limiter(backend, Quota::per(limit, LONG).algorithm(algorithm));
        assert!(limiter(5).check_n(id, 4).await.unwrap().is_allowed());
        let lower = limiter(3).check(id).await.unwrap();
        assert_eq!((lower.is_allowed(), lower.remaining()), (false, 0), "{algorithm:?}");
        assert!(lower.retry_after().unwrap() <= LONG * 2, "{algorithm:?}");
        assert_eq!(limiter(5).peek(id).await.unwrap().remaining(), 1, "{algorithm:?}: nothing is forgotten");
        assert_eq!(limiter(7).check(id).await.unwrap().remaining(), 2, "{algorithm:?}");
    }
}

async fn something_else_under_the_key_is_no_free_pass(backend: &Backend) {
    for (algorithm, id) in WINDOWS {
        let limiter = limiter(backend, Quota::per(3, LONG).algorithm(algorithm));
        let key = key(algorithm, id, LONG);
        for garbage in ["garbage", "-5:1", "1e9:1", "12", ":", "1:", ":1", " 1:2", "1:2:3:4", "slidingslidingsliding"] {
            backend.store.set(&key, garbage.as_bytes(), SetOptions::default()).await.unwrap();
            let calls = [
                limiter.check(id).await.map(drop),
                limiter.peek(id).await.map(drop),
                limiter.check_at_most(id, 2).await.map(drop),
                limiter.refund(id, 1).await.map(drop),
            ];
            for call in calls {
                assert_eq!(call.unwrap_err().kind(), ErrorKind::Corrupt, "{algorithm:?}: {garbage:?}");
            }
            assert_eq!(backend.store.get(&key).await.unwrap().unwrap(), garbage);
        }
        limiter.reset(id).await.unwrap();
        backend.put_other_type(&key).await;
        assert_eq!(limiter.check(id).await.unwrap_err().kind(), ErrorKind::WrongType, "{algorithm:?}");
        limiter.reset(id).await.unwrap();

        // What cannot have been yet counts as of now, and no more than can be.
        let far = match algorithm {
            Algorithm::SlidingWindow => "99999999999999999999999:0:99999999999999999999999".into(),
            Algorithm::SlidingLog => "sliding\0\0\0\0\0\x1fgarbag\0\0\0\0\x03".into(),
            _ => format!("{far}:{far}", far = "9".repeat(400)),
        };
        backend.store.set(&key, far.as_bytes(), SetOptions::default()).await.unwrap();
        let decision = limiter.check(id).await.unwrap();
        assert_eq!((decision.is_allowed(), decision.remaining()), (false, 0), "{algorithm:?}");
        assert!(decision.reset_after() <= LONG * 2, "{algorithm:?}");
        assert_ne!(backend.store.get(&key).await.unwrap().unwrap(), far, "{algorithm:?}: it is over some day");
        assert!(matches!(backend.store.ttl(&key).await.unwrap(), Ttl::Remaining(_)));
    }
}

async fn a_window_expires(backend: &Backend) {
    let hour = Duration::from_secs(3600);
    for (algorithm, id) in WINDOWS {
        let limiter = limiter(backend, Quota::per(30_000, hour).algorithm(algorithm));
        let key = key(algorithm, id, hour);
        let periods = if algorithm == Algorithm::SlidingWindow { 2 } else { 1 };
        let expires = async || {
            let Ttl::Remaining(left) = backend.store.ttl(&key).await.unwrap() else { panic!("{algorithm:?}: no ttl") };
            let full = hour * periods + Duration::from_secs(1);
            assert!(
                left <= full + Duration::from_millis(1) && left > full - Duration::from_secs(20),
                "{algorithm:?}: {left:?}"
            );
        };
        limiter.check(id).await.unwrap();
        expires().await;
        // Somebody took its time to live away: the next that writes gives it back.
        let value = backend.store.get(&key).await.unwrap().unwrap();
        backend.store.set(&key, &value, SetOptions::default()).await.unwrap();
        limiter.check(id).await.unwrap();
        expires().await;
        backend.store.expire(&key, hour * 30).await.unwrap();
        assert_eq!(limiter.refund(id, 1).await.unwrap(), 29_999);
        expires().await;
    }
}

#[test]
fn what_an_algorithm_cannot_count_is_refused() {
    let new = |quota| RateLimiter::new(Arc::new(MemoryStore::new()), quota, RateLimitOptions::default());
    let second = Duration::from_secs(1);
    for (algorithm, _) in WINDOWS {
        let refused = |quota: Quota, why: &str| {
            let error = new(quota.algorithm(algorithm)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{algorithm:?}");
            assert!(error.to_string().contains(why), "{algorithm:?}: {error}");
        };
        refused(Quota::per(0, second).burst(1), "quota must not be zero");
        refused(Quota::per(1, second).burst(0), "burst must not be zero");
        refused(Quota::per(1, Duration::ZERO), "period must not be zero");
        refused(Quota::per(1, Duration::from_micros(1 << 51) + second), "period is longer");
        refused(Quota::per(1, Duration::MAX), "period is longer");
        refused(Quota::per((1 << 51) + 1, second), "larger than");
        refused(Quota::per(u64::MAX, Duration::MAX), "period is longer");
        match algorithm {
            Algorithm::IntervalRefill => {
                assert!(new(Quota::per(5, second).burst(50).algorithm(algorithm)).is_ok());
                refused(Quota::per(1, second).burst(1 << 40), "burst takes longer");
            }
            _ => refused(Quota::per(5, second).burst(6), "burst must be the limit"),
        }
        match algorithm {
            Algorithm::SlidingLog => refused(Quota::per(100_001, second), "limit of a log is larger than 100,000"),
            _ => assert!(new(Quota::per(1 << 51, Duration::from_micros(1 << 51)).algorithm(algorithm)).is_ok()),
        }
    }
}

#[test]
fn what_builds_on_a_bucket_takes_no_window() {
    for (algorithm, _) in WINDOWS {
        let quota = Quota::per_minute(10).algorithm(algorithm);
        let store: Arc<dyn KvStore> = Arc::new(MemoryStore::new());
        let limiter = RateLimiter::new(store.clone(), quota, RateLimitOptions::default()).unwrap();
        let errors = [
            FrontLimiter::new(limiter, FrontOptions::default()).unwrap_err(),
            RateLimits::new(store.clone(), [("a", Quota::per_second(1)), ("b", quota)], RateLimitOptions::default())
                .unwrap_err(),
            RedisRate::new(store.clone(), quota, RedisRateOptions::default()).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{algorithm:?}");
            assert!(error.to_string().contains("Gcra"), "{error}");
        }
        // Which is a fixed window whatever is asked for.
        let flexible = Flexible::new(store, quota, FlexibleOptions::default());
        assert_eq!(flexible.is_ok(), algorithm == Algorithm::FixedWindow, "{algorithm:?}");
    }
}
