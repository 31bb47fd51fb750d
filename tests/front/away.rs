use super::{Way, front};
use crate::{backend::eventually, cancellation::stepping};
use kv_core::{ErrorKind, Executed, KvStore, MemoryStore};
use kv_redis::{RedisOptions, RedisStore};
use redis_ratelimit::{BreakerOptions, FailurePolicy, FrontLimiter, FrontOptions, LeaseOptions, Quota, Source};
use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};
use xtask::fixture::Server;

const BUDGET: Duration = Duration::from_millis(50);

fn options(policy: FailurePolicy) -> FrontOptions {
    let breaker = BreakerOptions::default().base(Duration::from_millis(20)).cap(Duration::from_millis(50));
    FrontOptions::default().on_failure(policy).budget(BUDGET).breaker(breaker)
}

/// A limiter and the way to its store, on which it is broken.
fn broken(quota: Quota, options: FrontOptions) -> (FrontLimiter, Way) {
    let way = Way::default();
    let limiter = front(&way.to(&MemoryStore::new()), quota, options);
    way.0.is_broken.store(true, Ordering::SeqCst);
    (limiter, way)
}

#[tokio::test(start_paused = true)]
async fn the_policy_decides_and_says_so() {
    let quota = Quota::per_hour(10);
    let (closed, _) = broken(quota, options(FailurePolicy::Closed));
    assert_eq!(closed.check("ada").await.unwrap_err().kind(), ErrorKind::Unavailable);

    let (open, _) = broken(quota, options(FailurePolicy::Open));
    for n in [1, 10, 1000] {
        let answer = open.check_n("ada", n).await.unwrap();
        assert!(answer.is_allowed() && answer.is_degraded());
        assert_eq!((answer.source, answer.decision.remaining()), (Source::Unlimited, 0));
    }

    let (local, way) = broken(quota, options(FailurePolicy::Local).processes(3));
    let mut admitted = 0;
    for _ in 0..20 {
        let answer = local.check("ada").await.unwrap();
        assert_eq!((answer.source, answer.is_degraded()), (Source::Insurance, true));
        admitted += u64::from(answer.is_allowed());
    }
    assert_eq!(admitted, 3, "a third of the burst");
    // And a third of the rate: one in 18 minutes.
    assert!(!local.check("ada").await.unwrap().is_allowed());
    tokio::time::advance(Duration::from_secs(18 * 60)).await;
    assert!(local.check("ada").await.unwrap().is_allowed());
    assert!(!local.check("ada").await.unwrap().is_allowed());
    way.0.is_broken.store(false, Ordering::SeqCst);
    tokio::time::advance(Duration::from_secs(1)).await;
    let answer = local.check("ada").await.unwrap();
    assert_eq!((answer.source, answer.is_degraded(), answer.decision.remaining()), (Source::Store, false, 9));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_costs_a_few_budgets_and_then_none() {
    let way = Way::default();
    let limiter = front(&way.to(&MemoryStore::new()), Quota::per_hour(10), options(FailurePolicy::Open));
    way.0.is_silent.store(true, Ordering::SeqCst);
    let started = tokio::time::Instant::now();
    for _ in 0..10_000 {
        assert!(limiter.check("ada").await.unwrap().is_degraded());
    }
    assert_eq!(started.elapsed(), BUDGET * 5);
    assert_eq!(way.calls(), 5);
    // From then on one probe at a time, and it alone waits.
    tokio::time::advance(Duration::from_millis(20)).await;
    let started = tokio::time::Instant::now();
    let checks: tokio::task::JoinSet<_> = (0..100)
        .map(|_| {
            let limiter = limiter.clone();
            async move {
                limiter.check("ada").await.unwrap();
                started.elapsed() >= BUDGET
            }
        })
        .collect();
    let waited = checks.join_all().await.into_iter().filter(|waited| *waited).count();
    assert_eq!((waited, way.calls()), (1, 6));
    way.0.is_silent.store(false, Ordering::SeqCst);
    tokio::time::advance(Duration::from_millis(50)).await;
    for _ in 0..3 {
        assert_eq!(limiter.check("ada").await.unwrap().source, Source::Store, "a success closes it");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_breaker_every_check_is_asked() {
    let (limiter, way) = broken(Quota::per_hour(10), options(FailurePolicy::Open).breaker(None));
    for _ in 0..100 {
        limiter.check("ada").await.unwrap();
    }
    assert_eq!(way.calls(), 100);
}

#[tokio::test]
async fn what_is_no_failure_of_the_store_is_an_error_whatever_the_policy() {
    for policy in [FailurePolicy::Closed, FailurePolicy::Open, FailurePolicy::Local] {
        let memory = MemoryStore::new();
        memory.set("ratelimit:{ada}", b"garbage", Default::default()).await.unwrap();
        let limiter = front(&memory, Quota::per_hour(10), options(policy));
        for _ in 0..20 {
            assert_eq!(limiter.check("ada").await.unwrap_err().kind(), ErrorKind::Corrupt);
            assert_eq!(limiter.check("").await.unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        // The breaker did not take it for one either.
        assert_eq!(limiter.check("grace").await.unwrap().source, Source::Store);
    }
}

#[tokio::test]
async fn a_lost_reply_is_the_policys_to_decide_and_not_asked_again() {
    for policy in [FailurePolicy::Closed, FailurePolicy::Open, FailurePolicy::Local] {
        let store = stepping();
        let limiter = front(&store, Quota::per_day(10), options(policy).budget(None));
        store.layer().lose_next_reply();
        match limiter.check("ada").await {
            Ok(answer) => assert!(answer.is_degraded() && answer.is_allowed()),
            Err(error) => assert_eq!((policy, error.executed()), (FailurePolicy::Closed, Executed::Maybe)),
        }
        assert_eq!(limiter.limiter().peek("ada").await.unwrap().remaining(), 9);
    }
}

#[tokio::test(start_paused = true)]
async fn leases_and_denials_outlast_the_store_for_their_time() {
    let way = Way::default();
    let options = options(FailurePolicy::Closed).deny_cache(100).lease(LeaseOptions::default());
    let limiter = front(&way.to(&MemoryStore::new()), Quota::per_hour(1000), options);
    while limiter.check("ada").await.unwrap().source != Source::Lease {}
    while limiter.check_n("grace", 500).await.unwrap().is_allowed() {}
    for _ in 0..60 {
        limiter.check("ada").await.unwrap();
    }
    way.0.is_broken.store(true, Ordering::SeqCst);
    assert_eq!(limiter.check("ada").await.unwrap().source, Source::Lease);
    assert_eq!(limiter.check_n("grace", 500).await.unwrap().source, Source::DenyCache);
    tokio::time::advance(Duration::from_millis(200)).await;
    assert_eq!(limiter.check("ada").await.unwrap_err().kind(), ErrorKind::Unavailable);
}

async fn on(server: &Server, options: FrontOptions) -> FrontLimiter {
    let store = RedisOptions::default().deadline(Duration::from_secs(8));
    front(&RedisStore::connect_with(&server.url(), store).await.unwrap(), Quota::per_day(1000), options)
}

#[tokio::test]
async fn a_killed_server_is_insured_and_asked_again_when_it_is_back() {
    let server = Server::start().unwrap();
    let limiter = on(&server, options(FailurePolicy::Local).processes(10)).await;
    assert_eq!(limiter.check("ada").await.unwrap().source, Source::Store);
    server.kill().unwrap();
    let mut admitted = 0;
    eventually("the share is spent", || {
        let check = limiter.check("ada");
        async { check.await.is_ok_and(|answer| answer.is_degraded() && !answer.is_allowed()) }
    })
    .await;
    for _ in 0..100 {
        admitted += u64::from(limiter.check("grace").await.unwrap().is_allowed());
    }
    assert_eq!(admitted, 100, "a tenth of the burst");
    server.restart().unwrap();
    eventually("it is asked again", || async { limiter.check("linus").await.unwrap().source == Source::Store }).await;
}

#[tokio::test]
async fn a_paused_server_holds_nobody_up_for_longer_than_the_budget() {
    let server = Server::start().unwrap();
    let limiter = on(&server, options(FailurePolicy::Open)).await;
    limiter.check("ada").await.unwrap();
    server.pause().unwrap();
    let started = Instant::now();
    for _ in 0..2000 {
        assert!(limiter.check("ada").await.unwrap().is_degraded());
    }
    // Five budgets, and a probe now and then: not 2000.
    assert!(started.elapsed() < BUDGET * 100, "{:?}", started.elapsed());
    server.resume().unwrap();
    eventually("it is asked again", || async { limiter.check("ada").await.unwrap().source == Source::Store }).await;
    // Those that were over the budget may have been counted, each once.
    let left = limiter.limiter().peek("ada").await.unwrap().remaining();
    assert!(left > 900, "{left}");
}
