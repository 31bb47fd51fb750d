use super::{Way, front, limiter};
use crate::backend::cases;
use kv_core::{Clock, MemoryStore};
use proptest::prelude::*;
use redis_ratelimit::{Decision, FrontLimiter, FrontOptions, Quota, Source};
use std::{sync::atomic::Ordering, time::Duration};
use tokio::time::{Instant, advance};

fn options() -> FrontOptions {
    FrontOptions::default().deny_cache(1000)
}

/// A limiter that remembers denials, the way to its store, and the store.
fn remembering(quota: Quota) -> (FrontLimiter, Way, MemoryStore) {
    let (way, memory) = (Way::default(), MemoryStore::new());
    (front(&way.to(&memory), quota, options()), way, memory)
}

#[tokio::test(start_paused = true)]
async fn what_was_denied_is_denied_without_a_command_until_it_may_be_admitted() {
    let (limiter, way, _) = remembering(Quota::per_second(10).burst(10));
    assert!(limiter.check_n("ada", 8).await.unwrap().is_allowed());
    let asked = limiter.check_n("ada", 5).await.unwrap();
    assert_eq!((asked.source, asked.decision.retry_after()), (Source::Store, Some(Duration::from_millis(300))));
    assert_eq!(way.calls(), 2);
    advance(Duration::from_millis(100)).await;
    // As the store would say it.
    for (n, retry_after) in [(5, Some(200)), (7, Some(400)), (10, Some(700)), (11, None), (u64::MAX, None)] {
        let answer = limiter.check_n("ada", n).await.unwrap();
        let Decision::Denied { remaining, retry_after: told, reset_after, .. } = answer.decision else { panic!("{n}") };
        assert_eq!((answer.source, remaining), (Source::DenyCache, 3), "{n}");
        assert_eq!((told, reset_after), (retry_after.map(Duration::from_millis), Duration::from_millis(700)), "{n}");
    }
    assert_eq!(way.calls(), 2);
    // Less is asked for, and so is somebody else's.
    assert!(limiter.check_n("ada", 4).await.unwrap().decision.retry_after().unwrap() == Duration::from_millis(100));
    assert!(limiter.check_n("grace", 5).await.unwrap().is_allowed());
    assert_eq!(way.calls(), 4);
    advance(Duration::from_millis(100)).await;
    assert!(limiter.check_n("ada", 4).await.unwrap().is_allowed());
}

#[tokio::test(start_paused = true)]
async fn what_is_given_back_here_is_there_at_once() {
    let (limiter, way, _) = remembering(Quota::per_hour(10));
    assert!(limiter.check_n("ada", 10).await.unwrap().is_allowed());
    for _ in 0..2 {
        assert!(!limiter.check("ada").await.unwrap().is_allowed());
    }
    assert_eq!(way.calls(), 2);
    limiter.refund("ada", 1).await.unwrap();
    assert!(limiter.check("ada").await.unwrap().is_allowed());
    assert!(!limiter.check("ada").await.unwrap().is_allowed());
    limiter.reset("ada").await.unwrap();
    assert!(limiter.check_n("ada", 10).await.unwrap().is_allowed());
}

#[tokio::test(start_paused = true)]
async fn a_denial_from_before_a_reset_is_not_remembered_after_it() {
    // The answer arrives before, at, and after the end of the reset.
    for (back, reset_back) in [(1000, 5000), (3000, 3000), (9000, 1000)] {
        let memory = MemoryStore::new();
        let (way, reset_way) = (Way::default(), Way::default());
        let both = |way: &Way| front(&way.to(&memory), Quota::per_hour(10), options());
        let limiter = both(&way);
        limiter.check_n("ada", 10).await.unwrap();
        way.0.back.store(back, Ordering::SeqCst);
        let checked = limiter.check("ada");
        let reset = async {
            tokio::task::yield_now().await;
            way.0.back.store(reset_back, Ordering::SeqCst);
            limiter.reset("ada").await.unwrap();
        };
        let (checked, ()) = tokio::join!(checked, reset);
        assert!(!checked.unwrap().is_allowed());
        assert!(limiter.check("ada").await.unwrap().is_allowed(), "{back} {reset_back}");
        drop(both(&reset_way));
    }
}

#[tokio::test(start_paused = true)]
async fn what_others_give_back_is_seen_when_the_request_would_have_been_admitted_anyway() {
    let (limiter, _, memory) = remembering(Quota::per_second(10));
    let other = limiter_of(&memory);
    limiter.check_n("ada", 10).await.unwrap();
    let wait = limiter.check_n("ada", 5).await.unwrap().decision.retry_after().unwrap();
    other.reset("ada").await.unwrap();
    assert!(!limiter.check_n("ada", 5).await.unwrap().is_allowed());
    advance(wait).await;
    assert!(limiter.check_n("ada", 5).await.unwrap().is_allowed());
}

fn limiter_of(memory: &MemoryStore) -> redis_ratelimit::RateLimiter {
    limiter(memory, Quota::per_second(10))
}

#[tokio::test(start_paused = true)]
async fn many_ids_take_no_more_room_than_there_is() {
    let memory = MemoryStore::new();
    let way = Way::default();
    let limiter = front(&way.to(&memory), Quota::per_hour(1), FrontOptions::default().deny_cache(16));
    for id in 0..1000 {
        limiter.check(&id.to_string()).await.unwrap();
        limiter.check(&id.to_string()).await.unwrap();
    }
    let before = way.calls();
    for id in 0..1000 {
        assert!(!limiter.check(&id.to_string()).await.unwrap().is_allowed());
    }
    // Each that was asked for took somebody's place.
    assert!(way.calls() - before >= 1000 - 16, "{}", way.calls() - before);
}

/// What happens in a random history, in the order of `Op`'s fields: microseconds of pause, the way there and back.
#[derive(Clone, Debug)]
struct Op {
    pause: u64,
    there: u64,
    back: u64,
    id: usize,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Check(u64),
    /// By another process.
    Other(u64),
    Refund(u64),
    Reset,
    /// A check that is on its way while a reset is, which begins so much later.
    CheckAndReset(u64, u64),
}

fn op() -> impl Strategy<Value = Op> {
    let kind = prop_oneof![
        10 => (1u64..8).prop_map(Kind::Check),
        3 => (1u64..8).prop_map(Kind::Other),
        1 => (1u64..8).prop_map(Kind::Refund),
        1 => Just(Kind::Reset),
        1 => (1u64..8, 0u64..40_000).prop_map(|(n, later)| Kind::CheckAndReset(n, later)),
    ];
    let pause = prop_oneof![3 => 0u64..2000, 1 => 0u64..150_000, 1 => Just(99_000), 1 => Just(100_000)];
    (pause, 0u64..30_000, 0u64..30_000, 0usize..2, kind).prop_map(|(pause, there, back, id, kind)| Op {
        pause,
        there,
        back,
        id,
        kind,
    })
}

/// Runs a history on a server whose clock runs faster by so many parts in 10,000; says how many were denied from memory.
async fn run(history: Vec<Op>, faster: u64) -> Result<u64, TestCaseError> {
    let clock = Clock::manual(1_700_000_000_000_000);
    let memory = MemoryStore::with_clock(clock.clone());
    // The server's clock follows, at a speed of its own.
    let started = Instant::now();
    let ticking = tokio::spawn({
        let clock = clock.clone();
        async move {
            loop {
                let elapsed = started.elapsed().as_micros() as u64;
                clock.set_micros(1_700_000_000_000_000 + (elapsed + elapsed * faster / 10_000) as i64);
                tokio::time::sleep(Duration::from_micros(500)).await;
            }
        }
    });
    let now = move || {
        let elapsed = started.elapsed().as_micros() as u64;
        1_700_000_000_000_000 + (elapsed + elapsed * faster / 10_000) as i64
    };
    let way = Way::default();
    let (quota, direct) = (Quota::per_second(10).burst(7), limiter_with(&memory));
    let limiter = front(&way.to(&memory), quota, options());
    let mut hits = 0;
    for Op { pause, there, back, id, kind } in history {
        tokio::time::sleep(Duration::from_micros(pause)).await;
        way.0.there.store(there, Ordering::SeqCst);
        way.0.back.store(back, Ordering::SeqCst);
        let id = ["ada", "grace"][id];
        match kind {
            Kind::Check(n) => {
                let answer = limiter.check_n(id, n).await.unwrap();
                if answer.source == Source::DenyCache {
                    hits += 1;
                    clock.set_micros(now());
                    // A denial takes nothing, and must be one.
                    prop_assert!(!direct.check_n(id, n).await.unwrap().is_allowed(), "{} of {}", n, id);
                }
            }
            Kind::Other(n) => drop(direct.check_n(id, n).await.unwrap()),
            Kind::Refund(n) => assert!(limiter.refund(id, n).await.is_ok()),
            Kind::Reset => limiter.reset(id).await.unwrap(),
            Kind::CheckAndReset(n, later) => {
                let reset = async {
                    tokio::time::sleep(Duration::from_micros(later)).await;
                    limiter.reset(id).await.unwrap();
                };
                drop(tokio::join!(limiter.check_n(id, n), reset));
            }
        }
    }
    ticking.abort();
    Ok(hits)
}

fn limiter_with(memory: &MemoryStore) -> redis_ratelimit::RateLimiter {
    limiter(memory, Quota::per_second(10).burst(7))
}

proptest! {
    #![proptest_config(cases(150))]

    /// However long the ways are and whoever takes, gives back and resets through the limiter: what is denied from memory, the
    /// store denies as well. Its clock may run faster by 1 %.
    #[test]
    fn nothing_is_denied_that_the_store_would_admit(
        history in prop::collection::vec(op(), 1..60), faster in prop_oneof![Just(0u64), Just(99)],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(run(history, faster))?;
    }
}

#[test]
fn such_histories_do_deny_from_memory() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let check = |n| Op { pause: 1000, there: 100, back: 100, id: 0, kind: Kind::Check(n) };
    let history = (0..200).map(|_| check(3)).collect();
    assert!(runtime.block_on(run(history, 99)).unwrap() > 100);
}
