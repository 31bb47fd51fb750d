//! Lua on a real server, the twin and a plain model say the same of every step, for every algorithm.

use super::{
    model::{Model, Terms},
    timed::Timed,
};
use crate::backend::{Backend, cases};
use kv_core::MemoryStore;
use proptest::{prelude::*, test_runner::TestRunner};
use redis_ratelimit::{Algorithm, Decision, Quota, RateLimitOptions, RateLimiter};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

#[derive(Clone, Debug)]
struct Case {
    period: u64,
    terms: [Terms; 2],
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
struct Step {
    pause: Pause,
    act: Act,
    units: Units,
    /// Under the other terms: a limit that is raised and lowered.
    other: bool,
}

#[derive(Clone, Copy, Debug)]
enum Pause {
    None,
    /// Thousandths of a period, back too.
    Period(i64),
    Micros(i64),
    /// To when the last step said that the same would be admitted, and a microsecond around.
    Retry(i64),
    Reset(i64),
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Check,
    AtMost,
    Peek,
    Refund,
    Reset,
}

#[derive(Clone, Copy, Debug)]
enum Units {
    Few(u64),
    /// As many as the last step said remained, and around.
    Remaining(u64),
    Limit(u64),
    Max,
}

/// What a limiter says, in microseconds.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Decision { granted: u64, remaining: u64, retry: Option<u64>, reset: u64 },
    Remaining(u64),
    Nothing,
}

const START: i64 = 1_700_000_000_123_457;

fn case(algorithm: Algorithm, steps: std::ops::Range<usize>) -> impl Strategy<Value = Case> {
    let most = if algorithm == Algorithm::SlidingLog { 99_991 } else { 999_983 };
    let limit = prop_oneof![6 => 1u64..14, 1 => Just(97), 1 => Just(65_537), 2 => Just(most)];
    let period = prop_oneof![
        1u64..8,
        900u64..1100,
        Just(999_983),
        Just(1_000_000),
        Just(7_000_003),
        Just(60_000_000),
        Just(86_400_000_000),
        Just(2_592_000_000_000)
    ];
    let burst =
        prop_oneof![Just((1u64, 0u64)), Just((2, 1)), Just((3, 2)), Just((0, 1)), Just((0, 5)), (0u64..9, 0u64..9)];
    (limit.clone(), limit, period, burst, prop::collection::vec(any::<u64>().prop_map(step), steps)).prop_map(
        move |(limit, other, period, (times, more), steps)| {
            let has_burst = matches!(algorithm, Algorithm::Gcra | Algorithm::IntervalRefill);
            let terms =
                |limit: u64| Terms { limit, burst: if has_burst { (limit * times + more).max(1) } else { limit } };
            // A bucket of GCRA keeps time, and not units: another rate is no other number of units.
            let other = if algorithm == Algorithm::Gcra { limit } else { other };
            Case { period, terms: [terms(limit), terms(other)], steps }
        },
    )
}

/// A step out of one number, which costs less to draw than one out of many.
fn step(mut dice: u64) -> Step {
    let mut roll = |sides: u64| {
        let rolled = dice % sides;
        dice /= sides;
        rolled
    };
    let pause = match (roll(13), roll(5600) as i64) {
        (0..=2, _) => Pause::None,
        (3..=5, size) => Pause::Period(size % 600),
        (6, size) => Pause::Period(size % 3000),
        (7, size) => Pause::Period(-(size % 2500)),
        (8, size) => Pause::Micros(size % 13 - 3),
        (9..=11, size) => Pause::Retry(size % 3 - 1),
        (_, size) => Pause::Reset(size % 3 - 1),
    };
    let act = match roll(20) {
        0..=9 => Act::Check,
        10..=12 => Act::AtMost,
        13..=15 => Act::Peek,
        16..=18 => Act::Refund,
        _ => Act::Reset,
    };
    let units = match (roll(12), roll(15)) {
        (0..=5, some) => Units::Few(some % 5),
        (6..=8, some) => Units::Remaining(some % 3),
        (9..=10, some) => Units::Limit(some % 3),
        _ => Units::Max,
    };
    Step { pause, act, units, other: roll(10) == 9 }
}

fn said(granted: u64, decision: Decision) -> Said {
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap();
    Said::Decision {
        granted,
        remaining: decision.remaining(),
        retry: decision.retry_after().map(micros),
        reset: micros(decision.reset_after()),
    }
}

async fn ask(limiter: &RateLimiter, act: Act, id: &str, units: u64) -> kv_core::Result<Said> {
    Ok(match act {
        Act::Check => {
            let decision = limiter.check_n(id, units).await?;
            said(if decision.is_allowed() { units } else { 0 }, decision)
        }
        Act::AtMost => {
            let grant = limiter.check_at_most(id, units).await?;
            said(grant.granted, grant.decision)
        }
        Act::Peek => said(0, limiter.peek_n(id, units).await?),
        Act::Refund => Said::Remaining(limiter.refund(id, units).await?),
        Act::Reset => {
            limiter.reset(id).await?;
            Said::Nothing
        }
    })
}

/// What the model says, and the model after it.
fn expect(model: &mut Model, gcra: bool, terms: Terms, act: Act, now: i128, units: u64) -> Said {
    let mut view = model.clone();
    view.settle(terms, now);
    let (room, before) = (view.room(terms, now), model.clone());
    let granted = match act {
        Act::Check if units <= room => units,
        Act::AtMost => units.min(room),
        _ => 0,
    };
    view.take(terms, now, granted);
    let wanted = if matches!(act, Act::AtMost) { units.min(1) } else { units };
    let allowed = granted > 0 || wanted <= room;
    let decision = |view: &Model| Said::Decision {
        granted,
        remaining: view.room(terms, now),
        retry: if allowed { Some(0) } else { (wanted <= terms.burst).then(|| view.wait(terms, now, wanted)) },
        reset: view.wait(terms, now, terms.burst),
    };
    let said = match act {
        Act::Refund => {
            view.give_back(terms, now, units);
            Said::Remaining(view.room(terms, now))
        }
        Act::Reset => Said::Nothing,
        _ => decision(&view),
    };
    // A bucket that is only looked at is not written, and a clock that went back is seen again by the next.
    let looks = gcra && (matches!(act, Act::Peek) || matches!(act, Act::Check) && units == 0);
    *model = if looks { before } else { view };
    said
}

async fn run(
    store: &Timed,
    algorithm: Algorithm,
    case: &Case,
    id: &str,
    count: &AtomicU64,
) -> Result<(), TestCaseError> {
    let limiter = |terms: Terms| {
        let quota = Quota::per(terms.limit, Duration::from_micros(case.period)).burst(terms.burst).algorithm(algorithm);
        // One that takes more than a lifetime to refill, or whose ticks are rounded.
        let exact = algorithm != Algorithm::Gcra || terms.burst.saturating_mul(case.period) < 1 << 52;
        RateLimiter::new(store.store(), quota, RateLimitOptions::default()).ok().filter(|_| exact)
    };
    let [Some(first), Some(second)] = case.terms.map(limiter) else {
        return Err(TestCaseError::reject("not counted, or not exactly"));
    };
    let mut model = Model::new(algorithm, case.period);
    let (mut remaining, mut retry, mut reset) = (0, 0, 0);
    store.set(START);
    for step in &case.steps {
        let to = match step.pause {
            Pause::None => 0,
            Pause::Period(thousandths) => case.period as i64 / 1000 * thousandths + thousandths % 3,
            Pause::Micros(micros) => micros,
            Pause::Retry(around) => retry as i64 + around,
            Pause::Reset(around) => reset as i64 + around,
        };
        // Within what a double can count, and after 1970.
        store.set((store.now() + to).clamp(START - 200_000_000_000_000, START + 2_000_000_000_000_000));
        let (limiter, terms) = if step.other { (&second, case.terms[1]) } else { (&first, case.terms[0]) };
        let units = match step.units {
            Units::Few(units) => units,
            Units::Remaining(more) => (remaining + more).saturating_sub(1),
            Units::Limit(more) => terms.burst + more - 1,
            Units::Max => u64::MAX,
        };
        let expected = if let Act::Reset = step.act {
            model = Model::new(algorithm, case.period);
            Said::Nothing
        } else {
            expect(&mut model, algorithm == Algorithm::Gcra, terms, step.act, store.now().into(), units)
        };
        let said = ask(limiter, step.act, id, units).await.map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(&said, &expected, "{:?} of {} units at {}, {:?}", step, units, store.now() - START, terms);
        if let Said::Decision { remaining: left, retry: told, reset: free, .. } = said {
            (remaining, retry, reset) = (left, told.unwrap_or(0), free);
        }
        count.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Runs so many cases on a store; says how many steps were taken.
fn agree(store: &Timed, algorithm: Algorithm, number: u32, steps: std::ops::Range<usize>) -> u64 {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (count, cases_run) = (AtomicU64::new(0), AtomicU64::new(0));
    let config = ProptestConfig { source_file: Some(file!()), ..cases(number) };
    let outcome = TestRunner::new(config).run(&case(algorithm, steps), |case| {
        let id = format!("{algorithm:?} {}", cases_run.fetch_add(1, Ordering::Relaxed));
        runtime.block_on(run(store, algorithm, &case, &id, &count))
    });
    if let Err(failure) = outcome {
        panic!("{algorithm:?}: {failure}");
    }
    count.into_inner()
}

/// A sixth of 100,000 steps and more.
const STEPS: u64 = 16_900;

macro_rules! on_every_algorithm {
    ($($name:ident: $algorithm:ident),* $(,)?) => {$(
        mod $name {
            use super::*;

            #[test]
            fn the_twin_agrees_with_the_model() {
                let store = Timed::new(Arc::new(MemoryStore::new()), START);
                let steps = agree(&store, Algorithm::$algorithm, 130, 130..150);
                assert!(steps >= STEPS, "{steps}");
            }

            #[test]
            fn the_server_agrees_with_the_model() {
                let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
                let backend = runtime.block_on(Backend::redis(""));
                let store = Timed::new(backend.store.clone(), START);
                assert!(agree(&store, Algorithm::$algorithm, 20, 30..80) >= 600);
            }
        }
    )*};
}

on_every_algorithm!(
    gcra: Gcra,
    fixed: FixedWindow,
    aligned: AlignedWindow,
    sliding: SlidingWindow,
    log: SlidingLog,
    refill: IntervalRefill,
);
