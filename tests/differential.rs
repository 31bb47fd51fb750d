//! Random sequences of every script, on a real server and on the twin: equal replies, errors, values and times to live.

use crate::backend::{Backend, cases};
use kv_core::{Arg, Clock, ErrorKind, KvStore, MemoryStore, Reply, Result, Script, SetOptions, Ttl};
use proptest::prelude::*;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::runtime::Runtime;

/// The two sides, and a fresh key for each case.
struct Pair {
    runtime: Runtime,
    redis: Backend,
    memory: Backend,
    case: AtomicU32,
}

#[derive(Clone, Debug)]
enum Step {
    /// A script, the token and a number for its arguments.
    Run(&'static str, u8, i64),
    Delete(u8),
    Put(u8, &'static str),
    OtherType(u8),
}

impl Pair {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let redis = runtime.block_on(Backend::redis(""));
        let mut memory = Backend::memory();
        memory.store = Arc::new(MemoryStore::with_clock(Clock::manual(1_700_000_000_000_000)));
        Self { runtime, redis, memory, case: AtomicU32::new(0) }
    }

    /// Takes the same steps on both sides and compares everything that can be seen.
    fn compare(&self, steps: &[Step], args: impl Fn(&str, u8, i64) -> Vec<OwnedArg>) -> Result<(), TestCaseError> {
        let case = self.case.fetch_add(1, Ordering::Relaxed);
        let keys = ["", ":side", ":line"].map(|suffix| format!("{{{case}}}{suffix}"));
        self.runtime.block_on(async {
            for step in steps {
                let redis = take(&self.redis, step, &keys, &args).await;
                let memory = take(&self.memory, step, &keys, &args).await;
                prop_assert_eq!(redis, memory, "reply to {:?}", step);
                for key in &keys {
                    let (mut redis, mut memory) = (look(&self.redis, key).await, look(&self.memory, key).await);
                    let settle = if key.ends_with(":side") { settled } else { timeless };
                    redis.0 = redis.0.map(|value| value.map(settle));
                    memory.0 = memory.0.map(|value| value.map(settle));
                    prop_assert_eq!(redis, memory, "{} after {:?}", key, step);
                }
            }
            Ok(())
        })
    }
}

enum OwnedArg {
    Text(String),
    Int(i64),
}

fn script(name: &str) -> &'static Script {
    let all = redis_lock::SCRIPTS.iter().chain(&redis_ratelimit::SCRIPTS).chain(&redis_cache::SCRIPTS);
    all.copied().find(|script| script.name() == name).expect("a script of ours")
}

async fn take(
    backend: &Backend,
    step: &Step,
    keys: &[String; 3],
    args: &impl Fn(&str, u8, i64) -> Vec<OwnedArg>,
) -> Result<Reply, ErrorKind> {
    let key = |which: u8| &*keys[usize::from(which % 3)];
    match *step {
        Step::Delete(which) => drop(backend.store.delete(&[key(which)]).await.unwrap()),
        Step::Put(which, value) => {
            backend.store.set(key(which), value.as_bytes(), SetOptions::default()).await.unwrap();
        }
        Step::OtherType(which) => {
            backend.store.delete(&[key(which)]).await.unwrap();
            backend.put_other_type(key(which)).await;
        }
        Step::Run(name, token, number) => {
            let owned = args(name, token, number);
            let args: Vec<Arg<'_>> = owned
                .iter()
                .map(|arg| match arg {
                    OwnedArg::Text(text) => Arg::from(text.as_str()),
                    OwnedArg::Int(int) => Arg::Int(*int),
                })
                .collect();
            let keys: &[&str] = match name {
                // Without a ticket nobody needs the line.
                "redis-lock/acquire" if args.len() <= 3 && token % 2 == 0 => &[&keys[0], &keys[1]],
                "redis-lock/acquire" | "redis-lock/acquire_all" | "redis-lock/inspect" | "redis-lock/release" => {
                    &[&keys[0], &keys[1], &keys[2]]
                }
                "redis-lock/enter" | "redis-lock/leave" => &[&keys[0], &keys[1], &keys[2]],
                "redis-lock/look" => &[&keys[0], &keys[2]],
                "redis-ratelimit/check_all" => &[&keys[0], &keys[2]],
                "redis-ratelimit/check_banned" => &[&keys[0], &keys[2]],
                "redis-ratelimit/ban" => &[&keys[2]],
                "redis-cache/abandon" | "redis-cache/keep" => &[&keys[1]],
                "redis-cache/generation" | "redis-cache/renew" => &[&keys[2]],
                _ if name.starts_with("redis-cache/") => &[&keys[0], &keys[1]],
                _ => &[&keys[0]],
            };
            return backend.run(script(name), keys, &args).await.map(coarse).map_err(|error| error.kind());
        }
    }
    Ok(Reply::Nil)
}

/// A remaining lease depends on how fast the test runs: whole hours are compared.
fn coarse(reply: Reply) -> Reply {
    match reply {
        Reply::Int(held) if held < -1000 => Reply::Int(round_hours(held)),
        Reply::Int(fence) if from_clock(fence) => Reply::Int(FROM_CLOCK),
        Reply::Int(millis) if from_clock(millis.saturating_mul(1000)) => Reply::Int(FROM_CLOCK / 1000),
        Reply::Bytes(text) => Reply::Bytes(settled(text)),
        Reply::Array(items) => {
            let hours = |item| {
                if let Reply::Int(millis @ 3_600_000..FROM_CLOCK) = item {
                    Reply::Int(round_hours(millis))
                } else {
                    coarse(item)
                }
            };
            Reply::Array(items.into_iter().map(hours).collect())
        }
        reply => reply,
    }
}

/// Stands for a number that begins with the time of day, which the two sides do not share.
const FROM_CLOCK: i64 = 1_600_000_000_000_000;

fn from_clock(number: i64) -> bool {
    let number = if number < 0 { number.saturating_add(1 << 53) } else { number };
    (1_690_000_000_000_000..4_000_000_000_000_000).contains(&number)
}

/// The fence of a lock as both sides have it.
fn settled(text: bytes::Bytes) -> bytes::Bytes {
    let number = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
    match number.filter(|number| from_clock(*number)) {
        Some(number) => (FROM_CLOCK * number.signum()).to_string().into(),
        None => timeless(text),
    }
}

/// The entry of a cache as both sides have it.
fn timeless(entry: bytes::Bytes) -> bytes::Bytes {
    let time = entry.get(16..24).and_then(|time| time.first_chunk()).map(|time| i64::from_le_bytes(*time));
    match time.filter(|millis| from_clock(millis.saturating_mul(1000))) {
        Some(_) => [&entry[..16], &[0; 8], &entry[24..]].concat().into(),
        None => entry,
    }
}

fn round_hours(millis: i64) -> i64 {
    (millis + if millis < 0 { -1_800_000 } else { 1_800_000 }) / 3_600_000
}

/// What a key holds and for how many hours.
async fn look(backend: &Backend, key: &str) -> (Result<Option<bytes::Bytes>, ErrorKind>, Option<i64>) {
    let value = backend.store.get(key).await.map_err(|error| error.kind());
    let hours = match backend.store.ttl(key).await.unwrap() {
        Ttl::Missing => None,
        Ttl::Unlimited => Some(-1),
        Ttl::Remaining(left) => Some(round_hours(left.as_millis() as i64)),
    };
    (value, hours)
}

const HOUR: i64 = 3_600_000;

fn hours(number: i64) -> OwnedArg {
    OwnedArg::Int((number.rem_euclid(5) + 2) * HOUR)
}

fn steps(
    scripts: &'static [&'static str],
    values: &'static [&'static str],
    numbers: std::ops::Range<i64>,
) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => (prop::sample::select(scripts), 0u8..3, numbers).prop_map(|(name, token, number)| Step::Run(name, token, number)),
        1 => (0u8..3).prop_map(Step::Delete),
        1 => (0u8..3, prop::sample::select(values)).prop_map(|(which, value)| Step::Put(which, value)),
        1 => (0u8..3).prop_map(Step::OtherType),
    ];
    prop::collection::vec(step, 1..60)
}

fn check<S: Strategy<Value = Vec<Step>>>(steps: S, args: impl Fn(&str, u8, i64) -> Vec<OwnedArg>) {
    check_cases(60, steps, args);
}

fn check_cases<S: Strategy<Value = Vec<Step>>>(number: u32, steps: S, args: impl Fn(&str, u8, i64) -> Vec<OwnedArg>) {
    let pair = Pair::new();
    let config = ProptestConfig { source_file: Some(file!()), ..cases(number) };
    let mut runner = prop::test_runner::TestRunner::new(config);
    if let Err(failure) = runner.run(&steps, |steps| pair.compare(&steps, &args)) {
        panic!("{failure}");
    }
}

#[test]
fn lock_scripts_equal_their_twins() {
    let scripts = &[
        "redis-lock/acquire",
        "redis-lock/acquire",
        "redis-lock/acquire_all",
        "redis-lock/extend",
        "redis-lock/inspect",
        "redis-lock/release",
        "redis-lock/release",
    ];
    let values =
        &["0/", "1/*", "someone", "", "7", "-3", "-9007199254740000", "9007199254740990", "9223372036854775807"];
    check(steps(scripts, values, 0..10), |name, token, number| {
        let reserve = number % 3 + 1;
        // Some wait and some do not, and nobody listens.
        let channel = ["", "gone"][usize::from(token % 2)];
        let claim = (number.rem_euclid(5) + 2) * HOUR;
        let ticket =
            (number % 4 != 0).then(|| OwnedArg::Text(format!("{token:x}/:{claim}:{reserve}:{}:{channel}", number % 2)));
        let token = OwnedArg::Text(format!("{token:x}/"));
        let is_old = OwnedArg::Int(i64::from(number % 3 == 0));
        match name {
            "redis-lock/acquire" => {
                let count = (ticket.is_some() || reserve > 1).then_some(OwnedArg::Int(reserve));
                let waits = ticket.map(|ticket| [ticket, is_old]).into_iter().flatten();
                [token, hours(number)].into_iter().chain(count).chain(waits).collect()
            }
            "redis-lock/release" if number == 9 => vec![OwnedArg::Text(String::new())],
            "redis-lock/release" => [token].into_iter().chain(ticket).collect(),
            "redis-lock/inspect" => vec![],
            "redis-lock/acquire_all" => vec![hours(number), token],
            _ => vec![token, hours(number)],
        }
    });
}

#[test]
fn quorum_scripts_equal_their_twins() {
    let scripts = &["redis-lock/extend", "redis-lock/quorum_release"];
    check(steps(scripts, &["token-0", "token-1", "someone", ""], 0..10), |name, token, number| {
        let token = OwnedArg::Text(format!("token-{token}"));
        if name == "redis-lock/extend" { vec![token, hours(number)] } else { vec![token] }
    });
}

#[test]
fn room_scripts_equal_their_twins() {
    let scripts = &[
        "redis-lock/enter",
        "redis-lock/enter",
        "redis-lock/enter",
        "redis-lock/leave",
        "redis-lock/leave",
        "redis-lock/look",
        "redis-lock/stay",
    ];
    let values = &["token-0", "", "0", "7", "-3", "9007199254740990", "9223372036854775807"];
    check(steps(scripts, values, 0..30), |name, token, number| {
        // Some have a lease that is over before anybody else comes.
        let lease = if number % 7 == 0 { OwnedArg::Int(-2 * HOUR) } else { hours(number) };
        let (weight, limit) = (token + 1, 3 + number % 2);
        let holder = format!("token-{token}:{weight}");
        // Nobody listens there, and the heaviest fits only alone.
        let channel = ["", "gone"][usize::from(token % 2)];
        let ticket = format!("{holder}:{}:3:{}:{channel}", (i64::from(token) + 2) * HOUR, number % 2);
        let ticket = (number % 4 != 0).then_some(OwnedArg::Text(ticket));
        let holder = OwnedArg::Text(holder);
        let is_old = OwnedArg::Int(i64::from(number % 5 == 0));
        match name {
            "redis-lock/enter" => {
                let waits = ticket.map(|ticket| [ticket, is_old]).into_iter().flatten();
                [holder, lease, OwnedArg::Int(limit)].into_iter().chain(waits).collect()
            }
            "redis-lock/leave" => [holder].into_iter().chain(ticket).collect(),
            "redis-lock/look" => vec![],
            _ => vec![holder, lease],
        }
    });
}

#[test]
fn cache_scripts_equal_their_twins() {
    let scripts = &[
        "redis-cache/begin",
        "redis-cache/commit",
        "redis-cache/abandon",
        "redis-cache/hold",
        "redis-cache/keep",
        "redis-cache/generation",
        "redis-cache/renew",
        "redis-cache/invalidate",
        "redis-cache/insert",
    ];
    let values = &[
        "00000000000000000000000000000000",
        "11111111111111111111111111111111w",
        "222222222222222222222222222222u",
        "p",
        "",
    ];
    check(steps(scripts, values, 0..10), |name, token, number| {
        let text = |text: &str| OwnedArg::Text(text.to_owned());
        let entry = |number: i64| format!("{number}").repeat(40 + number as usize);
        let writer = format!("{token}").repeat(31) + "u";
        let (token, channel, message) = (OwnedArg::Text(format!("{token}").repeat(32)), text("news"), text("message"));
        match name.split_once('/').unwrap().1 {
            "begin" => {
                let mark = if number % 3 == 0 { String::new() } else { entry(number)[..32].to_owned() };
                vec![token, hours(number), OwnedArg::Text(mark), OwnedArg::Int(number % 2)]
            }
            "commit" => vec![token, OwnedArg::Text(entry(number)), hours(number), channel, message, OwnedArg::Int(45)],
            "abandon" if number % 2 == 0 => vec![token, OwnedArg::Int(0), channel, message],
            "abandon" => vec![token, hours(number), channel, message],
            "keep" => vec![token, hours(number)],
            "invalidate" if number % 2 == 0 => vec![channel, message, OwnedArg::Int(0)],
            "invalidate" => vec![channel, message, hours(number)],
            "generation" => vec![OwnedArg::Text(format!("{number:08}")), hours(number)],
            "renew" => vec![OwnedArg::Text(format!("{number:08}")), hours(number), channel, message],
            "hold" => vec![OwnedArg::Text(writer), hours(number), channel, message],
            _ => vec![OwnedArg::Text(entry(number)), hours(number), channel, message],
        }
    });
}

#[test]
fn the_limiter_script_equals_its_twin() {
    let values =
        &["garbage", "", "12:", ":3", "1e9", "1700000000000000", "1700000000500000:3", "99999999999999999999999"];
    // Quotas with primes, at the limit of exactness, and with ticks finer than a microsecond.
    let quotas = [
        (10, 7, 3),
        (1_000_000, 100_000, 1),
        ((1 << 52) - 1, 999_983, 7),
        (6_999_881, 999_983, 1_000_003),
        (1 << 52, 1 << 50, 1),
    ];
    check(steps(&["redis-ratelimit/check"], values, -5000..20_000), move |_, token, number| {
        let (capacity, per_unit, per_micro) = quotas[(number.rem_euclid(5)) as usize];
        let cost = per_unit * i64::from(token);
        // The clock runs, and jumps back and forth.
        let now = 1_700_000_000_000_000 + number * number.rem_euclid(1000);
        let ttl = OwnedArg::Int(3 * HOUR);
        vec![OwnedArg::Int(capacity), OwnedArg::Int(cost), OwnedArg::Int(per_micro), ttl, OwnedArg::Int(now)]
    });
}

#[test]
fn the_script_of_several_limits_equals_its_twin() {
    let values = &["garbage", "1700000000000000", "1700000000500000:3", "99999999999999999999999"];
    let quotas = [(10, 7, 3), (999_983, 333_331, 7), (1 << 52, 1 << 50, 1), (4_000, 1_000, 1_000_003)];
    let scripts = &["redis-ratelimit/check_all"];
    check(steps(scripts, values, -5000..20_000), move |_, token, number| {
        let now = 1_700_000_000_000_000 + number * number.rem_euclid(1000);
        // Each its own quota and cost, some at no cost.
        let of = |which: i64| {
            let (capacity, per_unit, per_micro) = quotas[((number + which).rem_euclid(4)) as usize];
            let cost = per_unit * (i64::from(token) + which).rem_euclid(4);
            [capacity, cost, per_micro, 3 * HOUR].map(OwnedArg::Int)
        };
        std::iter::once(OwnedArg::Int(now)).chain(of(0)).chain(of(1)).collect()
    });
}

#[test]
fn scripts_of_buckets_with_reservations_equal_their_twins() {
    const NOW: i64 = 1_700_000_000_000_000;
    let values =
        &["garbage", "12:", "1700000000000000", "1700000000004500:1", "1700000000009000", "99999999999999999999999"];
    let scripts = &[
        "redis-ratelimit/reserve",
        "redis-ratelimit/reserve",
        "redis-ratelimit/cancel",
        "redis-ratelimit/check",
        "redis-ratelimit/check_many",
        "redis-ratelimit/refund",
    ];
    check(steps(scripts, values, 0..400), |name, token, number| {
        // One unit a millisecond, in thirds of microseconds or in whole ones; a burst of two, and up to five milliseconds to wait.
        let rate = 1 + 2 * i64::from(number % 7 == 0);
        let (unit, most) = (1000 * rate, 7000 * rate);
        let now = NOW + 500 * (number % 10);
        let [capacity, cost, rate_arg, ttl, most, now_arg] =
            [2 * unit, unit * i64::from(token) + i64::from(number % 11 == 0), rate, 3 * HOUR, most, now]
                .map(OwnedArg::Int);
        match name {
            "redis-ratelimit/reserve" => {
                vec![capacity, cost, rate_arg, ttl, now_arg, most, OwnedArg::Int(unit * (number % 6))]
            }
            // By half milliseconds like the clock, so that it is often what the bucket holds.
            "redis-ratelimit/cancel" => {
                let held = (NOW + 500 * (number / 10 % 14)).to_string() + ["", ":1"][usize::from(number % 11 == 0)];
                vec![OwnedArg::Text(held), cost, rate_arg, ttl, now_arg]
            }
            "redis-ratelimit/check_many" => {
                vec![capacity, rate_arg, ttl, now_arg, cost, OwnedArg::Int(number % 4), most]
            }
            _ => vec![capacity, cost, rate_arg, ttl, now_arg, most],
        }
    });
}

#[test]
fn scripts_of_bans_equal_their_twins() {
    const NOW: i64 = 1_700_000_000_000_000;
    let values =
        &["garbage", "1700000000002500", "1:2", "1::3", "2:0:0", "1:1500:1700000000002500", "0:700:1800000000000000"];
    let scripts = &[
        "redis-ratelimit/check_banned",
        "redis-ratelimit/check_banned",
        "redis-ratelimit/check_banned",
        "redis-ratelimit/check_banned",
        "redis-ratelimit/ban",
        "redis-ratelimit/refund",
    ];
    check(steps(scripts, values, 0..400), |name, token, number| {
        // One unit a millisecond, in thirds of microseconds; the clock goes on and back, a little or until bans are forgotten.
        let (rate, unit, token) = (3, 3000, i64::from(token));
        let (capacity, cost) = (2 * unit, unit * token + i64::from(number % 11 == 0));
        let later = if number % 13 == 0 { 10 * HOUR * 1000 } else { 0 };
        let now = NOW + 250 * (number % 40) + later;
        let forget_after = 3 * HOUR * 1000;
        match name {
            "redis-ratelimit/check_banned" => {
                let least = if number % 3 == 0 { cost } else { unit };
                let ban = [(2 + token - number % 4).max(0), 700, 1 + number % 3, 4000, forget_after];
                [capacity, cost, least, rate, 3 * HOUR, now].into_iter().chain(ban).map(OwnedArg::Int).collect()
            }
            "redis-ratelimit/ban" => [500 * (token + 1), forget_after, now].map(OwnedArg::Int).into(),
            _ => [capacity, cost, rate, 3 * HOUR, now].map(OwnedArg::Int).into(),
        }
    });
}

/// Windows of one quota a case: limit, period, and of what a script has beside those.
fn windows(script: &'static str, values: &'static [&'static str], quotas: &'static [(i64, i64, i64)]) {
    let scripts = &*Box::leak(Box::new([script]));
    // What they decide is compared with a model elsewhere: here it is what they leave behind.
    check_cases(25, steps(scripts, values, -5000..20_000), move |_, token, number| {
        // Mostly the same quota, now and then another: a limit that is lowered and raised.
        let (limit, period, extra) =
            quotas[if number % 9 == 0 { number.rem_euclid(quotas.len() as i64) as usize } else { 0 }];
        let now = 1_700_000_000_000_000 + period * number.rem_euclid(40) / 7 + number % 2;
        let (units, what) =
            (i64::from(token) * number.rem_euclid(5), [1, 1, 2, 0, -1][number.rem_euclid(11) as usize % 5]);
        let args = [limit, units, what, period, 3 * HOUR, now]
            .into_iter()
            .chain((script != "redis-ratelimit/log").then_some(extra));
        args.map(OwnedArg::Int).collect()
    });
}

#[test]
fn the_script_of_fixed_windows_equals_its_twin() {
    let values = &["garbage", "", "1:2", "1700000000000000:3", "1700000001000000:99999999999999999999", "7:"];
    windows("redis-ratelimit/fixed", values, &[(7, 1_000_000, 0), (3, 999_983, 1), (1 << 51, 60_000_000, 1)]);
    windows("redis-ratelimit/fixed", values, &[(7, 1_000_000, 1), (3, 1_000_000, 1)]);
}

#[test]
fn the_script_of_sliding_windows_equals_its_twin() {
    let values = &[
        "garbage",
        "1:2:",
        "1:2:3:4",
        "1699999999000000:3:2",
        "1700000001000000:2:1",
        "99999999999999999999:1:99999999999999999999",
    ];
    windows("redis-ratelimit/sliding", values, &[(7, 1_000_000, 1), (3, 999_983, 1000), (1 << 51, 999_983, 1 << 40)]);
    windows("redis-ratelimit/sliding", values, &[(700, 999_983, 1000), (300, 999_983, 1000)]);
}

#[test]
fn the_script_of_a_log_equals_its_twin() {
    let values = &[
        "garbage",
        "",
        "sliding",
        "slidingslidingsliding123",
        "sliding\0\0\0\0\0garbage",
        "sliding\0\0\0\0\0\x06\n%\x15gx\0\0\0\0\0\x02",
    ];
    windows("redis-ratelimit/log", values, &[(7, 1_000_000, 0), (3, 999_983, 0), (100_000, 10, 0)]);
    windows("redis-ratelimit/log", values, &[(60, 1_000_000, 0), (30, 1_000_000, 0)]);
}

#[test]
fn the_script_of_interval_refill_equals_its_twin() {
    let values = &["garbage", "1:2", "1700000000000000:3", "1700000001000000:99999999999999999999", "1:2:3"];
    windows("redis-ratelimit/refill", values, &[(7, 1_000_000, 3), (3, 999_983, 7), (1 << 51, 1 << 40, 999_983)]);
}

#[test]
fn slot_scripts_equal_their_twins() {
    let scripts = &[
        "redis-ratelimit/enter",
        "redis-ratelimit/enter",
        "redis-ratelimit/enter",
        "redis-ratelimit/leave",
        "redis-ratelimit/stay",
    ];
    check(steps(scripts, &["", "0", "token-0:1"], 0..30), |name, token, number| {
        // Some have a lease that is over before anybody else comes.
        let lease = if number % 7 == 0 { OwnedArg::Int(-2 * HOUR) } else { hours(number) };
        let holder = OwnedArg::Text(format!("token-{}:{}", number % 4, token + 1));
        match name {
            "redis-ratelimit/enter" => vec![holder, lease, OwnedArg::Int(3 + number % 3)],
            "redis-ratelimit/leave" => vec![holder],
            _ => vec![holder, hours(number)],
        }
    });
}

#[test]
fn the_servers_clock_decides_when_no_time_is_given() {
    let pair = Pair::new();
    pair.runtime.block_on(async {
        for backend in [&pair.redis, &Backend::memory()] {
            let args = [Arg::Int(2000), Arg::Int(1000), Arg::Int(1), Arg::Int(60_000), Arg::Bytes(b"")];
            backend.run(script("redis-ratelimit/check"), &["bucket"], &args).await.unwrap();
            let stored = backend.store.get("bucket").await.unwrap().unwrap();
            let empty_at: u64 = std::str::from_utf8(&stored).unwrap().parse().unwrap();
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            assert!(now.abs_diff(Duration::from_micros(empty_at)) < Duration::from_secs(5));
        }
    });
}
