//! Those who do not keep to their quota.

use crate::backend::{Backend, cases, on_every_backend};
use kv_core::{Clock, ErrorKind, MemoryStore, SetOptions, Ttl};
use proptest::prelude::*;
use redis_ratelimit::{
    Algorithm, BanOptions, Decision, FrontLimiter, FrontOptions, Quota, RateLimitOptions, RateLimiter, RateLimits,
};
use std::{sync::Arc, time::Duration};

on_every_backend!(
    so_many_denials_in_a_row_ban,
    what_is_admitted_between_denials_begins_anew,
    an_id_is_banned_by_hand,
    a_ban_is_lifted,
    reset_clears_the_bucket_and_the_ban,
    as_many_as_there_are_are_granted_and_none_to_the_banned,
    something_else_under_a_key_is_no_free_pass,
    what_is_known_of_an_id_expires,
);

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn limiter(backend: &Backend, ban: BanOptions) -> RateLimiter {
    let options = RateLimitOptions::default().ban(ban);
    RateLimiter::new(backend.store.clone(), Quota::per_day(24 * 60).burst(2), options).unwrap()
}

/// Three denials in a row, and an hour at first.
fn three() -> BanOptions {
    BanOptions::default().after(3).base(HOUR).longest(3 * HOUR)
}

/// For how many hours it is banned, less the time that tests take.
fn hours(decision: &Decision) -> Option<u64> {
    let Decision::Denied { retry_after: Some(left), reset_after, banned: true, remaining: 0 } = *decision else {
        return None;
    };
    assert!(reset_after >= left);
    Some((left + Duration::from_secs(300)).as_secs() / 3600)
}

async fn so_many_denials_in_a_row_ban(backend: &Backend) {
    let limiter = limiter(backend, three());
    assert!(limiter.check_n("ada", 2).await.unwrap().is_allowed());
    for _ in 0..2 {
        let denied = limiter.check("ada").await.unwrap();
        assert!(!denied.is_allowed() && !denied.is_banned());
        assert!(denied.retry_after().unwrap() <= Duration::from_secs(60));
        assert!(!limiter.peek("ada").await.unwrap().is_banned(), "looking is not counted");
    }
    assert_eq!(hours(&limiter.check("ada").await.unwrap()), Some(1));
    for n in [0, 1, 2] {
        assert_eq!(hours(&limiter.check_n("ada", n).await.unwrap()), Some(1), "{n}");
        assert_eq!(hours(&limiter.peek_n("ada", n).await.unwrap()), Some(1), "{n}");
    }
    let never = limiter.check_n("ada", 3).await.unwrap();
    assert!(never.is_banned() && never.retry_after().is_none(), "more than the burst is never admitted");
    assert!(limiter.check("grace").await.unwrap().is_allowed());
}

async fn what_is_admitted_between_denials_begins_anew(backend: &Backend) {
    let limiter = limiter(backend, three());
    for _ in 0..4 {
        for _ in 0..2 {
            assert!(!limiter.check_n("ada", 3).await.unwrap().is_banned());
        }
        assert!(limiter.check("ada").await.unwrap().is_allowed());
        limiter.refund("ada", 1).await.unwrap();
    }
}

async fn an_id_is_banned_by_hand(backend: &Backend) {
    let limiter = limiter(backend, BanOptions::default().after(0));
    for _ in 0..20 {
        assert!(!limiter.check_n("ada", 3).await.unwrap().is_banned(), "by hand alone");
    }
    limiter.ban("ada", 5 * HOUR).await.unwrap();
    assert_eq!(hours(&limiter.check("ada").await.unwrap()), Some(5));
    limiter.ban("ada", 2 * HOUR).await.unwrap();
    assert_eq!(hours(&limiter.check("ada").await.unwrap()), Some(2));
    for length in [Duration::ZERO, Duration::from_nanos(999), Duration::MAX] {
        assert_eq!(limiter.ban("ada", length).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    assert!(limiter.check("grace").await.unwrap().is_allowed());
}

async fn a_ban_is_lifted(backend: &Backend) {
    let limiter = limiter(backend, three());
    limiter.check("ada").await.unwrap();
    for _ in 0..3 {
        limiter.check_n("ada", 2).await.unwrap();
    }
    assert!(limiter.peek("ada").await.unwrap().is_banned());
    limiter.lift_ban("ada").await.unwrap();
    let decision = limiter.peek("ada").await.unwrap();
    assert_eq!((decision.is_allowed(), decision.remaining()), (true, 1), "what was taken stays taken");
    for _ in 0..2 {
        assert!(!limiter.check_n("ada", 2).await.unwrap().is_banned(), "its denials are forgotten");
    }
    assert_eq!(hours(&limiter.check_n("ada", 2).await.unwrap()), Some(1), "and so are its bans");
    limiter.lift_ban("nobody").await.unwrap();
}

async fn reset_clears_the_bucket_and_the_ban(backend: &Backend) {
    let limiter = limiter(backend, three());
    limiter.check_n("ada", 2).await.unwrap();
    limiter.ban("ada", HOUR).await.unwrap();
    limiter.reset("ada").await.unwrap();
    assert!(limiter.check_n("ada", 2).await.unwrap().is_allowed());
}

async fn as_many_as_there_are_are_granted_and_none_to_the_banned(backend: &Backend) {
    let limiter = limiter(backend, three());
    for (n, granted) in [(0, 0), (1, 1), (5, 1), (5, 0), (5, 0), (5, 0)] {
        assert_eq!(limiter.check_at_most("ada", n).await.unwrap().granted, granted);
    }
    let grant = limiter.check_at_most("ada", 1).await.unwrap();
    assert_eq!((grant.granted, hours(&grant.decision)), (0, Some(1)));
    limiter.refund("ada", 2).await.unwrap();
    assert_eq!(limiter.check_at_most("ada", 1).await.unwrap().granted, 0, "a ban is not bought off");
}

async fn something_else_under_a_key_is_no_free_pass(backend: &Backend) {
    let limiter = limiter(backend, three());
    for garbage in ["", "garbage", "1:2", "1:2:", ":2:3", "1:2:3:4", "-1:2:3", "1700000000000000"] {
        backend.store.set("ratelimit:{ada}:ban", garbage.as_bytes(), SetOptions::default()).await.unwrap();
        assert_eq!(limiter.check("ada").await.unwrap_err().kind(), ErrorKind::Corrupt, "{garbage:?}");
        assert!(!backend.store.exists("ratelimit:{ada}").await.unwrap(), "nothing is taken");
    }
    backend.put_other_type("ratelimit:{grace}:ban").await;
    assert_eq!(limiter.check("grace").await.unwrap_err().kind(), ErrorKind::WrongType);
    // A time far ahead is no longer than the ban was.
    backend.store.set("ratelimit:{ada}:ban", b"0:3600000000:9999999999999999", SetOptions::default()).await.unwrap();
    for _ in 0..2 {
        assert_eq!(hours(&limiter.check("ada").await.unwrap()), Some(1));
    }
    assert!(matches!(backend.store.ttl("ratelimit:{ada}:ban").await.unwrap(), Ttl::Remaining(_)));
}

async fn what_is_known_of_an_id_expires(backend: &Backend) {
    let limiter = limiter(backend, three().forget_after(2 * HOUR));
    let ttl = || async {
        let Ttl::Remaining(left) = backend.store.ttl("ratelimit:{ada}:ban").await.unwrap() else { panic!("has a ttl") };
        (left + Duration::from_secs(300)).as_secs() / 3600
    };
    limiter.check_n("ada", 3).await.unwrap();
    assert_eq!(ttl().await, 2);
    limiter.check_n("ada", 3).await.unwrap();
    limiter.check_n("ada", 3).await.unwrap();
    assert_eq!(ttl().await, 3);
    limiter.ban("ada", 5 * HOUR).await.unwrap();
    assert_eq!(ttl().await, 7);
}

#[tokio::test]
async fn options_that_cannot_work_are_refused_by_name() {
    let of = |quota, options| RateLimiter::new(Arc::new(MemoryStore::new()), quota, options);
    let ban = BanOptions::default();
    let options = RateLimitOptions::default;
    let quota = Quota::per_second(1);
    for (field, quota, options) in [
        ("ban.factor", quota, options().ban(ban.factor(0))),
        ("ban.base", quota, options().ban(ban.base(Duration::ZERO))),
        ("ban.longest", quota, options().ban(ban.longest(Duration::from_secs(1)))),
        ("ban.longest", quota, options().ban(ban.longest(Duration::MAX))),
        ("ban.forget_after", quota, options().ban(ban.forget_after(Duration::ZERO))),
        ("ban", quota.algorithm(Algorithm::SlidingLog), options().ban(ban)),
        ("longest_wait", quota, options().ban(ban).longest_wait(HOUR)),
    ] {
        let error = of(quota, options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{field}");
        assert!(error.to_string().contains(field), "{field}: {error}");
    }
    let bans = of(quota, options().ban(ban)).unwrap();
    assert_eq!(bans.reserve("ada", 1, Duration::ZERO).await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(FrontLimiter::new(bans, FrontOptions::default()).unwrap_err().to_string().contains("ban"));
    let limits = RateLimits::new(Arc::new(MemoryStore::new()), [("a", quota)], options().ban(ban));
    assert!(limits.unwrap_err().to_string().contains("ban"));
    let limiter = of(quota, options()).unwrap();
    assert_eq!(limiter.ban("ada", HOUR).await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(limiter.lift_ban("ada").await.unwrap_err().kind(), ErrorKind::Unsupported);
}

/// A limiter on a clock that stands still.
fn still(ban: BanOptions) -> (RateLimiter, Clock) {
    let clock = Clock::manual(1_700_000_000_000_000);
    let store = Arc::new(MemoryStore::with_clock(clock.clone()));
    let options = RateLimitOptions::default().ban(ban);
    (RateLimiter::new(store, Quota::per_second(1), options).unwrap(), clock)
}

/// Goes over the limit until it is banned, and says for how long.
async fn banned(limiter: &RateLimiter) -> Duration {
    for _ in 0..100 {
        let decision = limiter.check("ada").await.unwrap();
        if decision.is_banned() {
            return decision.retry_after().unwrap();
        }
    }
    panic!("never banned");
}

#[tokio::test]
async fn each_ban_is_longer_than_the_one_before_until_it_is_forgotten() {
    let (limiter, clock) = still(three().factor(3).longest(8 * HOUR).forget_after(DAY));
    for expected in [HOUR, 3 * HOUR, 8 * HOUR, 8 * HOUR] {
        assert_eq!(banned(&limiter).await, expected);
        clock.advance(expected - Duration::from_micros(1));
        assert_eq!(limiter.check("ada").await.unwrap().retry_after(), Some(Duration::from_micros(1)));
        clock.advance(Duration::from_micros(1));
        assert!(limiter.check("ada").await.unwrap().is_allowed());
    }
    clock.advance(DAY - Duration::from_micros(1));
    assert_eq!(banned(&limiter).await, 8 * HOUR, "remembered to the last");
    clock.advance(8 * HOUR + DAY);
    assert_eq!(banned(&limiter).await, HOUR);
    // One by hand counts.
    limiter.ban("ada", Duration::from_secs(60)).await.unwrap();
    clock.advance(Duration::from_secs(60));
    assert_eq!(banned(&limiter).await, Duration::from_secs(180));
}

#[tokio::test]
async fn denials_during_a_ban_do_not_prolong_it_nor_count_for_the_next() {
    let (limiter, clock) = still(three());
    assert_eq!(banned(&limiter).await, HOUR);
    for minute in 0..60 {
        for _ in 0..10 {
            let left = HOUR - Duration::from_secs(60 * minute);
            assert_eq!(limiter.check("ada").await.unwrap().retry_after(), Some(left));
        }
        clock.advance(Duration::from_secs(60));
    }
    assert!(!limiter.check_n("ada", 2).await.unwrap().is_banned());
    assert!(limiter.check("ada").await.unwrap().is_allowed());
}

#[tokio::test]
async fn a_clock_that_jumps_back_bans_for_no_longer_than_the_ban_was() {
    let (limiter, clock) = still(three());
    banned(&limiter).await;
    clock.set_micros(clock.now_micros() - 10 * HOUR.as_micros() as i64);
    assert_eq!(limiter.check("ada").await.unwrap().retry_after(), Some(HOUR));
    clock.advance(HOUR);
    assert!(!limiter.peek("ada").await.unwrap().is_banned());
}

proptest! {
    #![proptest_config(cases(200))]

    /// With bans that never come a limiter says what one without them would; and the contract of `retry_after` holds under bans.
    #[test]
    fn a_limiter_that_bans_nobody_is_one_without_bans_and_bans_end_when_they_say(
        limit in 1u64..30, period in 1u64..1_000_000, burst in 1u64..6, after in 0u32..4,
        steps in prop::collection::vec((0u64..4, 0u64..300_000, any::<bool>()), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let clock = Clock::manual(1_700_000_000_000_000);
            let store = Arc::new(MemoryStore::with_clock(clock.clone()));
            let quota = Quota::per(limit, Duration::from_micros(period)).burst(burst);
            let ban = BanOptions::default().after(after).base(Duration::from_micros(12_345));
            let of = |options| RateLimiter::new(store.clone(), quota, options).unwrap();
            let bans = of(RateLimitOptions::default().ban(ban));
            let plain = of(RateLimitOptions::default().prefix("plain"));
            for (n, micros, at_most) in steps {
                clock.advance(Duration::from_micros(micros));
                if after == 0 {
                    prop_assert_eq!(bans.peek_n("ada", n).await.unwrap(), plain.peek_n("ada", n).await.unwrap());
                    if at_most {
                        let grants = (bans.check_at_most("ada", n).await.unwrap(), plain.check_at_most("ada", n).await.unwrap());
                        prop_assert_eq!(grants.0, grants.1);
                    } else {
                        prop_assert_eq!(bans.check_n("ada", n).await.unwrap(), plain.check_n("ada", n).await.unwrap());
                    }
                    continue;
                }
                let decision = bans.check_n("ada", n).await.unwrap();
                if let Decision::Denied { retry_after: Some(wait), .. } = decision {
                    let denied_at = clock.now_micros();
                    clock.set_micros(denied_at + wait.as_micros() as i64 - 1);
                    prop_assert!(!bans.peek_n("ada", n).await.unwrap().is_allowed());
                    clock.set_micros(denied_at + wait.as_micros() as i64);
                    prop_assert!(bans.check_n("ada", n).await.unwrap().is_allowed());
                }
            }
            Ok(())
        })?;
    }
}
