//! Requests that are admitted now and may go on later.

use crate::{
    backend::{Backend, cases, eventually, on_every_backend},
    cancellation::{at_every_await, poll_times, stepping},
};
use kv_core::{Clock, ErrorKind, Executed, KvStore, MemoryStore, Ttl};
use proptest::prelude::*;
use redis_ratelimit::{
    Algorithm, FrontLimiter, FrontOptions, Quota, RateLimitOptions, RateLimiter, RateLimits, Reservation,
    ReserveDecision,
};
use std::{sync::Arc, time::Duration};

on_every_backend!(
    who_comes_first_is_due_first,
    one_that_would_wait_too_long_takes_nothing,
    a_check_is_denied_while_anybody_waits,
    the_last_in_line_gives_its_place_back,
    a_place_within_the_line_stays_empty,
    dropping_gives_back_what_is_not_due,
    many_dropped_at_once_are_all_given_back,
    what_is_kept_is_used,
    a_line_outlives_the_burst,
    concurrent_reservations_never_share_a_place,
);

const HOUR: Duration = Duration::from_secs(3600);
const LONG: Duration = Duration::from_secs(24 * 3600);

/// One an hour, one at once, and a day to wait.
fn hourly(store: Arc<dyn KvStore>) -> RateLimiter {
    let options = RateLimitOptions::default().longest_wait(LONG);
    RateLimiter::new(store, Quota::per_hour(1), options).unwrap()
}

async fn reserved(limiter: &RateLimiter, n: u64) -> Reservation {
    limiter.reserve("ada", n, LONG).await.unwrap().reserved().expect("there is room in line")
}

/// Whole hours, less the time that tests take.
fn hours(time: Duration) -> u64 {
    (time + Duration::from_secs(300)).as_secs() / 3600
}

/// In how many hours one who asks next would be due.
async fn line(limiter: &RateLimiter) -> u64 {
    hours(limiter.peek("ada").await.unwrap().retry_after().unwrap())
}

async fn who_comes_first_is_due_first(backend: &Backend) {
    let limiter = hourly(backend.store.clone());
    let mut line = Vec::new();
    for place in 0..5 {
        line.push(reserved(&limiter, 1).await);
        assert_eq!(hours(line[place].due_in()), place as u64);
    }
    assert_eq!(line[0].due_in(), Duration::ZERO);
    assert_eq!(hours(hourly(backend.store.clone()).peek("ada").await.unwrap().reset_after()), 5);
}

async fn one_that_would_wait_too_long_takes_nothing(backend: &Backend) {
    let limiter = hourly(backend.store.clone());
    let _line = [reserved(&limiter, 1).await, reserved(&limiter, 1).await];
    for _ in 0..3 {
        let decision = limiter.reserve("ada", 1, HOUR / 2).await.unwrap();
        let ReserveDecision::Denied { retry_after: Some(retry_after) } = decision else { panic!("two hours away") };
        assert!(retry_after <= HOUR * 3 / 2 && retry_after > HOUR * 5 / 4, "{retry_after:?}");
    }
    assert!(matches!(limiter.reserve("ada", 2, LONG).await.unwrap(), ReserveDecision::Denied { retry_after: None }));
    let none = limiter.reserve("ada", 0, Duration::ZERO).await.unwrap().reserved().unwrap();
    assert_eq!((none.due_in(), none.cancel().await.unwrap()), (Duration::ZERO, true));
    let error = limiter.reserve("ada", 1, LONG + Duration::from_micros(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(line(&limiter).await, 2);
}

async fn a_check_is_denied_while_anybody_waits(backend: &Backend) {
    let limiter = hourly(backend.store.clone());
    let held: Vec<Reservation> =
        vec![reserved(&limiter, 1).await, reserved(&limiter, 1).await, reserved(&limiter, 1).await];
    for _ in 0..3 {
        let denied = limiter.check("ada").await.unwrap();
        assert_eq!((denied.is_allowed(), denied.remaining()), (false, 0));
        assert_eq!(hours(denied.retry_after().unwrap()), 3, "behind the line, which a check leaves as it is");
        assert_eq!(limiter.check_at_most("ada", 9).await.unwrap().granted, 0);
        assert_eq!(hours(limiter.check_at_most("ada", 9).await.unwrap().decision.retry_after().unwrap()), 3);
    }
    assert!(
        limiter.check_n("ada", 0).await.unwrap().is_allowed() && limiter.peek_n("ada", 0).await.unwrap().is_allowed()
    );
    let front = FrontLimiter::new(limiter.clone(), FrontOptions::default().deny_cache(10)).unwrap();
    for _ in 0..2 {
        let denied = front.check("ada").await.unwrap().decision;
        assert_eq!((denied.remaining(), hours(denied.retry_after().unwrap())), (0, 3));
    }
    assert_eq!(limiter.refund("ada", 1).await.unwrap(), 0);
    assert_eq!(line(&limiter).await, 2);
    drop(held);
}

async fn the_last_in_line_gives_its_place_back(backend: &Backend) {
    let limiter = hourly(backend.store.clone());
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(reserved(&limiter, 1).await);
    }
    // From the last to the first, the one that is due included.
    for left in (0..4).rev() {
        assert!(held.pop().unwrap().cancel().await.unwrap());
        assert_eq!(line(&limiter).await, left);
    }
    assert!(!backend.store.exists("ratelimit:{ada}").await.unwrap(), "an empty bucket is none");
    assert!(limiter.check("ada").await.unwrap().is_allowed());
}

async fn a_place_within_the_line_stays_empty(backend: &Backend) {
    let limiter = hourly(backend.store.clone());
    let _now = reserved(&limiter, 1).await;
    let (second, third) = (reserved(&limiter, 1).await, reserved(&limiter, 1).await);
    assert!(!second.cancel().await.unwrap());
    assert_eq!((line(&limiter).await, hours(third.due_in())), (3, 2));
    assert!(third.cancel().await.unwrap());
    assert_eq!(line(&limiter).await, 2, "what was given back in vain does not come back later");
}

async fn dropping_gives_back_what_is_not_due(backend: &Backend) {
    let limiter = hourly(backend.store.clone());
    drop(reserved(&limiter, 1).await);
    let waits = reserved(&limiter, 1).await;
    assert_eq!(hours(waits.due_in()), 1, "one that was due when it was dropped is used");
    drop(waits);
    eventually("it is given back", || async { line(&limiter).await == 1 }).await;
    let mut ready = Box::pin(reserved(&limiter, 1).await.ready());
    assert!(poll_times(3, ready.as_mut()).await.is_none());
    assert_eq!(line(&limiter).await, 2);
    drop(ready);
    eventually("so is one that was waited for", || async { line(&limiter).await == 1 }).await;
}

async fn many_dropped_at_once_are_all_given_back(backend: &Backend) {
    let limiter = hourly(backend.store.clone());
    let mut held = Vec::new();
    for _ in 0..10 {
        held.push(reserved(&limiter, 1).await);
    }
    // In the order of coming, of which only the last would find its place the last. The task is not there before this one waits.
    drop(held);
    eventually("all but the one that was due", || async { line(&limiter).await == 1 }).await;
}

async fn what_is_kept_is_used(backend: &Backend) {
    let limiter = hourly(backend.store.clone());
    assert_eq!(reserved(&limiter, 1).await.keep(), Duration::ZERO);
    assert_eq!(hours(reserved(&limiter, 1).await.keep()), 1);
    // Whatever is given back by then is given back before this is.
    assert!(reserved(&limiter, 1).await.cancel().await.unwrap());
    assert_eq!(line(&limiter).await, 2);
}

async fn a_line_outlives_the_burst(backend: &Backend) {
    let limiter = hourly(backend.store.clone());
    for _ in 0..5 {
        reserved(&limiter, 1).await.keep();
    }
    limiter.check("ada").await.unwrap();
    let Ttl::Remaining(left) = backend.store.ttl("ratelimit:{ada}").await.unwrap() else { panic!("has a ttl") };
    assert!(left > 5 * HOUR, "{left:?}");
}

async fn concurrent_reservations_never_share_a_place(backend: &Backend) {
    let limiter = hourly(backend.store.clone());
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let limiter = limiter.clone();
            tokio::spawn(
                async move { limiter.reserve("ada", 1, 9 * HOUR).await.unwrap().reserved().map(Reservation::keep) },
            )
        })
        .collect();
    let mut due = Vec::new();
    for task in tasks {
        due.extend(task.await.unwrap().map(hours));
    }
    due.sort_unstable();
    assert_eq!(due, (0..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_wait_that_cannot_be_is_refused() {
    let of = |quota, wait| {
        RateLimiter::new(Arc::new(MemoryStore::new()), quota, RateLimitOptions::default().longest_wait(wait))
    };
    let windows = Quota::per_hour(1).algorithm(Algorithm::FixedWindow);
    for (quota, wait) in [
        (Quota::per_second(1), Duration::MAX),
        (Quota::per_second(1 << 20), Duration::from_secs(1 << 40)),
        (windows, HOUR),
    ] {
        let error = of(quota, wait).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert!(error.to_string().contains("longest_wait"), "{error}");
    }
    let windows = of(windows, Duration::ZERO).unwrap();
    assert_eq!(windows.reserve("ada", 1, Duration::ZERO).await.unwrap_err().kind(), ErrorKind::Unsupported);
    let options = RateLimitOptions::default().longest_wait(HOUR);
    let limits = RateLimits::new(Arc::new(MemoryStore::new()), [("a", Quota::per_hour(1))], options);
    assert!(limits.unwrap_err().to_string().contains("longest_wait"));
}

#[tokio::test(start_paused = true)]
async fn ready_waits_until_it_is_due_and_no_longer() {
    let memory = MemoryStore::with_clock(Clock::manual(1_700_000_000_000_000));
    let limiter = hourly(Arc::new(memory.clone()));
    let start = tokio::time::Instant::now();
    for place in 0..4 {
        let reservation = reserved(&limiter, 1).await;
        assert_eq!(reservation.due_in(), HOUR * u32::from(place > 0));
        reservation.ready().await;
        memory.clock().set_micros(1_700_000_000_000_000 + start.elapsed().as_micros() as i64);
        assert!(start.elapsed() >= HOUR * place && start.elapsed() <= HOUR * place + Duration::from_millis(2 * 4));
    }
}

#[test]
fn without_a_runtime_nothing_panics_and_what_is_dropped_stays_taken() {
    let limiter = hourly(Arc::new(MemoryStore::new()));
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // Its runtime is gone, and there is none.
    let [first, second, third] = runtime()
        .block_on(async { [reserved(&limiter, 1).await, reserved(&limiter, 1).await, reserved(&limiter, 1).await] });
    drop((first, second));
    assert_eq!(runtime().block_on(line(&limiter)), 3);
    assert!(runtime().block_on(third.cancel()).unwrap(), "another runtime will do");
    assert_eq!(runtime().block_on(line(&limiter)), 2);
}

#[tokio::test]
async fn a_dropped_reservation_takes_a_place_once_or_not_at_all_and_a_dropped_order_is_carried_out() {
    at_every_await(|polls| async move {
        let limiter = hourly(Arc::new(stepping()));
        let done = match poll_times(polls, limiter.reserve("ada", 1, LONG)).await {
            Some(reserved) => reserved.unwrap().reserved().unwrap().keep().is_zero(),
            None => false,
        };
        assert!(line(&limiter).await <= 1);
        done
    })
    .await;
    at_every_await(|polls| async move {
        let limiter = hourly(Arc::new(stepping()));
        reserved(&limiter, 1).await.keep();
        let waits = reserved(&limiter, 1).await;
        let done = poll_times(polls, waits.cancel()).await.is_some();
        eventually("it is given back", || async { line(&limiter).await == 1 }).await;
        done
    })
    .await;
}

#[tokio::test]
async fn a_lost_reply_is_not_asked_for_again() {
    let store = stepping();
    let limiter = hourly(Arc::new(store.clone()));
    store.layer().lose_next_reply();
    assert_eq!(limiter.reserve("ada", 1, LONG).await.unwrap_err().executed(), Executed::Maybe);
    let waits = reserved(&limiter, 1).await;
    assert_eq!(hours(waits.due_in()), 1);
    store.layer().lose_next_reply();
    assert_eq!(waits.cancel().await.unwrap_err().executed(), Executed::Maybe);
    // Whoever has its place now keeps it.
    let next = reserved(&limiter, 1).await;
    assert_eq!(hours(next.due_in()), 1);
    assert_eq!(line(&limiter).await, 2);
}

#[derive(Clone, Debug)]
enum Step {
    Reserve { n: u64, patience: u64 },
    Check { n: u64 },
    Cancel { which: usize },
    Pass { micros: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1u64..5, 0u64..3_000_000).prop_map(|(n, patience)| Step::Reserve { n, patience }),
        2 => (1u64..5).prop_map(|n| Step::Check { n }),
        3 => (0usize..20).prop_map(|which| Step::Cancel { which }),
        3 => (0u64..2_000_000).prop_map(|micros| Step::Pass { micros }),
    ]
}

proptest! {
    #![proptest_config(cases(300))]

    /// Whoever is admitted, now or later, and did not give it back: by the times at which they are due no span has more than
    /// `burst + limit * t / period`, later ones are not due before earlier ones, nobody waits longer than they said, and a denial's
    /// `retry_after` is exact.
    #[test]
    fn no_span_admits_more_than_the_quota_by_when_it_is_due(
        limit in 1u64..30, period in 1u64..3_000_000, burst in 1u64..5, steps in prop::collection::vec(step(), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let clock = Clock::manual(1_700_000_000_000_000);
            let quota = Quota::per(limit, Duration::from_micros(period)).burst(burst);
            let options = RateLimitOptions::default().longest_wait(Duration::from_secs(3));
            let limiter = RateLimiter::new(Arc::new(MemoryStore::with_clock(clock.clone())), quota, options).unwrap();
            // When it is due, how much it is, and the reservation for as long as it may be given back.
            let mut admitted: Vec<(i64, u64, Option<Reservation>)> = Vec::new();
            for step in steps {
                match step {
                    Step::Pass { micros } => clock.advance(Duration::from_micros(micros)),
                    Step::Check { n } => {
                        if limiter.check_n("ada", n).await.unwrap().is_allowed() {
                            admitted.push((clock.now_micros(), n, None));
                        }
                    }
                    Step::Reserve { n, patience } => {
                        let patience = Duration::from_micros(patience);
                        match limiter.reserve("ada", n, patience).await.unwrap() {
                            ReserveDecision::Reserved(reservation) => {
                                let wait = reservation.due_in();
                                prop_assert!(wait <= patience);
                                let due = clock.now_micros() + wait.as_micros() as i64;
                                prop_assert!(admitted.iter().all(|(earlier, ..)| *earlier <= due));
                                admitted.push((due, n, Some(reservation)));
                            }
                            ReserveDecision::Denied { retry_after: None } => prop_assert!(n > burst),
                            ReserveDecision::Denied { retry_after: Some(wait) } => {
                                let now = clock.now_micros();
                                clock.set_micros(now + wait.as_micros() as i64 - 1);
                                prop_assert!(!limiter.reserve("ada", n, patience).await.unwrap().is_reserved());
                                clock.set_micros(now + wait.as_micros() as i64);
                                let decision = limiter.reserve("ada", n, patience).await.unwrap();
                                prop_assert!(decision.is_reserved());
                                prop_assert!(decision.reserved().unwrap().cancel().await.unwrap());
                            }
                        }
                    }
                    Step::Cancel { which } => {
                        let Some((.., held)) = admitted.get_mut(which) else { continue };
                        // Given back or not, it does not go on.
                        if let Some(reservation) = held.take() {
                            reservation.cancel().await.unwrap();
                            admitted.remove(which);
                        }
                    }
                }
            }
            for (first, (from, ..)) in admitted.iter().enumerate() {
                let mut taken = 0;
                for (until, n, _) in &admitted[first..] {
                    taken += u128::from(*n);
                    let span = (until - from) as u128;
                    prop_assert!(taken * u128::from(period)
                        <= u128::from(burst) * u128::from(period) + u128::from(limit) * (span + 1));
                }
            }
            for (.., held) in admitted {
                held.map(Reservation::keep);
            }
            Ok(())
        })?;
    }
}
