//! State shared with limiters of other languages: what they wrote is honoured, and what we write is what they would have.

use crate::backend::{Backend, cases, on_every_backend};
use bytes::Bytes;
use kv_core::{Arg, Clock, ErrorKind, KvStore, KvStoreExt, MemoryStore, Reply, Result, Script, SetOptions, Ttl};
use proptest::prelude::*;
use redis_ratelimit::{
    Decision, Quota,
    compat::{Flexible, FlexibleOptions, RedisRate, RedisRateOptions, SCRIPTS},
    tower::Limit,
};
use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::runtime::Runtime;

on_every_backend!(
    a_go_services_bucket_is_honoured,
    a_bucket_is_one_that_a_go_service_reads,
    a_node_services_window_is_shared,
    a_node_services_block_is_honoured_and_made,
    something_else_under_a_shared_key_is_no_free_pass,
);

const EPOCH: u64 = 1_483_228_800;
const SECOND: Duration = Duration::from_secs(1);

fn script(name: &str) -> &'static Script {
    SCRIPTS.into_iter().find(|script| script.name().ends_with(name)).expect("a script of ours")
}

fn redis_rate(store: &Arc<dyn KvStore>, quota: Quota) -> RedisRate {
    RedisRate::new(store.clone(), quota, RedisRateOptions::default()).unwrap()
}

fn flexible(store: &Arc<dyn KvStore>, quota: Quota, block: u64) -> Flexible {
    let options = FlexibleOptions::default().block_duration(Duration::from_secs(block));
    Flexible::new(store.clone(), quota, options).unwrap()
}

async fn text(store: &Arc<dyn KvStore>, key: &str) -> String {
    String::from_utf8(store.get(key).await.unwrap().unwrap().to_vec()).unwrap()
}

async fn seconds_left(store: &Arc<dyn KvStore>, key: &str) -> u64 {
    let Ttl::Remaining(left) = store.ttl(key).await.unwrap() else { panic!("{key} has a time to live") };
    left.as_millis().div_ceil(1000) as u64
}

async fn a_go_services_bucket_is_honoured(backend: &Backend) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() - EPOCH as f64;
    // 10 an hour, 6 of them taken.
    let tat = format!("{:.8}", now + 6.0 * 360.0);
    backend.store.set_px("rate:ada", tat.as_bytes(), SECOND * 2160).await.unwrap();
    let limiter = redis_rate(&backend.store, Quota::per_hour(10));
    assert_eq!(limiter.peek("ada").await.unwrap().remaining(), 4);
    assert!(!limiter.check_n("ada", 5).await.unwrap().is_allowed());
    assert_eq!(text(&backend.store, "rate:ada").await, tat, "a denial writes nothing");
    let decision = limiter.check_n("ada", 4).await.unwrap();
    assert_eq!((decision.is_allowed(), decision.remaining()), (true, 0));
    let taken: f64 = text(&backend.store, "rate:ada").await.parse().unwrap();
    let expected = tat.parse::<f64>().unwrap() + 360.0 * 4.0;
    assert_eq!(taken.to_bits(), expected.to_bits(), "{taken} {expected}");
    let denied = limiter.check("ada").await.unwrap();
    assert!(denied.retry_after().unwrap() > SECOND * 350 && denied.retry_after().unwrap() <= SECOND * 360);
    limiter.reset("ada").await.unwrap();
    assert_eq!(limiter.peek("ada").await.unwrap().remaining(), 10);
}

async fn a_bucket_is_one_that_a_go_service_reads(backend: &Backend) {
    let limiter = redis_rate(&backend.store, Quota::per(7, SECOND * 600).burst(3));
    let decision = limiter.check("ada").await.unwrap();
    assert_eq!((decision.is_allowed(), decision.remaining()), (true, 2), "redis_rate would say 1");
    let value = text(&backend.store, "rate:ada").await;
    let tat: f64 = value.parse().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() - EPOCH as f64;
    assert!((tat - 600.0 / 7.0 - now).abs() < 5.0, "{value} at {now}");
    assert!(value.len() <= 18 && value.parse::<f64>().unwrap().to_bits() == tat.to_bits());
    assert!((80..=86).contains(&seconds_left(&backend.store, "rate:ada").await), "whole seconds, rounded up");
}

async fn a_node_services_window_is_shared(backend: &Backend) {
    let store = &backend.store;
    let limiter = flexible(store, Quota::per_hour(5), 0);
    assert_eq!(limiter.peek("ada").await.unwrap(), Decision::Allowed { remaining: 5, reset_after: Duration::ZERO });
    assert!(!store.exists("rlflx:ada").await.unwrap(), "a look opens no window");
    let consume = async |points| {
        // What the other one does: SET 0 EX NX, INCRBY, PTTL.
        let once = SetOptions::default().ttl(SECOND * 1800).condition(kv_core::Condition::IfAbsent);
        store.set("rlflx:ada", b"0", once).await.unwrap();
        store.incr_by("rlflx:ada", points).await.unwrap()
    };
    assert_eq!(consume(2).await, 2);
    let decision = limiter.check_n("ada", 2).await.unwrap();
    assert_eq!((decision.is_allowed(), decision.remaining()), (true, 1));
    assert!(decision.reset_after() <= SECOND * 1801, "the window is the one that was open");
    assert_eq!(consume(1).await, 5);
    let denied = limiter.check_n("ada", 2).await.unwrap();
    assert_eq!((denied.is_allowed(), denied.remaining()), (false, 0));
    assert_eq!(denied.retry_after(), Some(denied.reset_after()));
    assert_eq!(text(store, "rlflx:ada").await, "7", "a denial counts");
    assert_eq!(limiter.check_n("ada", 6).await.unwrap().retry_after(), None);
    assert!((1790..=1800).contains(&seconds_left(store, "rlflx:ada").await));
    limiter.reset("ada").await.unwrap();
    assert!(limiter.check_n("ada", 5).await.unwrap().is_allowed());
    assert!((3590..=3600).contains(&seconds_left(store, "rlflx:ada").await));
    let peeked = limiter.peek("ada").await.unwrap();
    assert_eq!((peeked.is_allowed(), peeked.remaining()), (false, 0));

    // A key without a time to live, as INCRBY alone leaves it, gets one.
    store.set("rlflx:grace", b"1", SetOptions::default()).await.unwrap();
    assert!(limiter.check("grace").await.unwrap().is_allowed());
    assert!((3590..=3600).contains(&seconds_left(store, "rlflx:grace").await));
    // Points given away are not more than all.
    store.set("rlflx:grace", b"-3", SetOptions::default()).await.unwrap();
    assert_eq!(limiter.peek("grace").await.unwrap().remaining(), 5);
}

async fn a_node_services_block_is_honoured_and_made(backend: &Backend) {
    let store = &backend.store;
    let limiter = flexible(store, Quota::per_minute(3), 3600);
    // Its `block` sets the points and one more.
    store.set_px("rlflx:ada", b"4", SECOND * 600).await.unwrap();
    let denied = limiter.check("ada").await.unwrap();
    assert!(!denied.is_allowed() && denied.retry_after().unwrap() > SECOND * 590);
    assert!(seconds_left(store, "rlflx:ada").await <= 600, "who is blocked is not blocked anew");

    assert!(limiter.check_n("grace", 3).await.unwrap().is_allowed());
    assert!(seconds_left(store, "rlflx:grace").await <= 60);
    let blocked = limiter.check("grace").await.unwrap();
    assert!(blocked.retry_after().unwrap() > SECOND * 3590, "{blocked:?}");
    assert_eq!(text(store, "rlflx:grace").await, "4");
    assert!((3590..=3600).contains(&seconds_left(store, "rlflx:grace").await));
}

async fn something_else_under_a_shared_key_is_no_free_pass(backend: &Backend) {
    let (go, node) =
        (redis_rate(&backend.store, Quota::per_hour(10)), flexible(&backend.store, Quota::per_hour(10), 0));
    for garbage in ["", "garbage", "-5", "1e9", "0x10", " 12 ", "nan", "inf", ".5", "1.2.3"] {
        backend.store.set("rate:ada", garbage.as_bytes(), SetOptions::default()).await.unwrap();
        for checked in [go.check("ada").await, go.peek("ada").await] {
            assert_eq!(checked.unwrap_err().kind(), ErrorKind::Corrupt, "{garbage:?}");
        }
    }
    for garbage in ["", "garbage", "1.5", " 12"] {
        backend.store.set("rlflx:ada", garbage.as_bytes(), SetOptions::default()).await.unwrap();
        for checked in [node.check("ada").await, node.peek("ada").await] {
            assert_eq!(checked.unwrap_err().kind(), ErrorKind::WrongType, "{garbage:?}");
        }
    }
    // Farther ahead than doubles can tell.
    backend.store.set("rate:ada", "9".repeat(400).as_bytes(), SetOptions::default()).await.unwrap();
    assert_eq!((go.check("ada").await.unwrap().is_allowed(), go.peek("ada").await.unwrap().remaining()), (false, 0));
    backend.put_other_type("rate:grace").await;
    backend.put_other_type("rlflx:grace").await;
    assert_eq!(go.check("grace").await.unwrap_err().kind(), ErrorKind::WrongType);
    assert_eq!(node.check("grace").await.unwrap_err().kind(), ErrorKind::WrongType);
    for empty in [go.check("").await, node.check("").await] {
        assert_eq!(empty.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn what_cannot_be_shared_is_refused_by_name() {
    let store: Arc<dyn KvStore> = Arc::new(MemoryStore::new());
    let go = |quota| RedisRate::new(store.clone(), quota, RedisRateOptions::default()).unwrap_err().to_string();
    assert!(go(Quota::per_second(1_000_001)).contains("1,000,000"));
    assert!(go(Quota::per_second(0)).contains("quota"));
    let node = |quota, block| {
        let options = FlexibleOptions::default().block_duration(block);
        Flexible::new(store.clone(), quota, options).unwrap_err().to_string()
    };
    assert!(node(Quota::per_second(0), Duration::ZERO).contains("quota"));
    assert!(node(Quota::per_second(1).burst(2), Duration::ZERO).contains("burst"));
    assert!(node(Quota::per(1, SECOND / 2), Duration::ZERO).contains("period"));
    assert!(node(Quota::per(1, Duration::ZERO), Duration::ZERO).contains("period"));
    assert!(node(Quota::per_second(1), SECOND / 2).contains("block_duration"));
}

#[tokio::test]
async fn a_window_ends_when_it_is_said() {
    let clock = Clock::manual(1_700_000_000_000_123);
    let store: Arc<dyn KvStore> = Arc::new(MemoryStore::with_clock(clock.clone()));
    let limiter = flexible(&store, Quota::per_minute(2), 0);
    assert!(limiter.check_n("ada", 2).await.unwrap().is_allowed());
    clock.advance(SECOND * 7);
    let denied = limiter.check("ada").await.unwrap();
    assert_eq!(limiter.next_after(&denied), denied.retry_after(), "nothing comes before the window's end");
    clock.advance(denied.retry_after().unwrap() - Duration::from_millis(1));
    assert!(!limiter.check("ada").await.unwrap().is_allowed());
    clock.advance(Duration::from_millis(1));
    assert!(limiter.check("ada").await.unwrap().is_allowed());
}

/// `redis_rate`'s `AllowN` as its authors wrote it, in the same order of floating-point steps: the new TAT if it is allowed.
fn allow_n(tat: Option<f64>, micros: i64, burst: f64, rate: f64, period: f64, cost: f64) -> Option<f64> {
    let now = (micros / 1_000_000 - EPOCH as i64) as f64 + (micros % 1_000_000) as f64 / 1_000_000.0;
    let emission_interval = period / rate;
    let increment = emission_interval * cost;
    let burst_offset = emission_interval * burst;
    let new_tat = tat.unwrap_or(now).max(now) + increment;
    let diff = now - (new_tat - burst_offset);
    (diff / emission_interval >= 0.0).then_some(new_tat)
}

/// On a real server, in memory and by the formula: the same answers, and the same state to the last bit.
#[test]
fn the_state_is_redis_rates_to_the_last_bit() {
    let quotas =
        [(10, 7, "1000"), (3, 1, "500.5"), (16, 9, "900.1"), (1, 3, "333.333"), (1_000_000, 999_983, "1000.000001")];
    // A pause of so many units' time to the microsecond, and one more or less: there the doubles decide.
    let pause = prop_oneof![Just((0, 0)), (Just(0), 0i64..200_000_000), (1i64..5, -1i64..2)];
    let cost = prop_oneof![4 => 0i64..4, 1 => Just(i64::MAX)];
    let steps = prop::collection::vec((pause, cost), 1..40);
    let pair = Pair::new();
    proptest!(cases(100), |((burst, rate, period) in prop::sample::select(quotas.to_vec()), steps in steps)| {
        let mut tat = None;
        let mut micros = 1_763_000_000_000_000;
        pair.delete("bucket");
        let unit = (period.parse::<f64>().unwrap() * 1e6 / rate as f64) as i64;
        for ((units, more), cost) in steps {
            let scale = if burst > 16 { 200_000 } else { 1 };
            micros = (micros + units * unit * scale + more).max(micros);
            let cost = cost.saturating_mul(scale).min(burst);
            let args = [burst.into(), rate.into(), Arg::from(period), cost.into(), micros.into()];
            let [(redis, stored), (memory, twin)] = pair.run("redis_rate", "bucket", &args);
            prop_assert_eq!((&redis, &stored), (&memory, &twin));
            let (_, wait) = redis.unwrap();
            let allowed = allow_n(tat, micros, burst as f64, rate as f64, period.parse().unwrap(), cost as f64);
            prop_assert_eq!(wait == 0, allowed.is_some());
            if cost > 0 {
                tat = allowed.or(tat);
            }
            let stored = stored.map(|stored| std::str::from_utf8(&stored).unwrap().parse::<f64>().unwrap().to_bits());
            prop_assert_eq!(stored, tat.map(f64::to_bits));
        }
    });
}

/// Any sequence of counts, blocks and keys of others, on a real server and in memory.
#[test]
fn the_window_script_equals_its_twin() {
    let values = ["garbage", "", "3", "-7", "9223372036854775807", "1.5"];
    let steps =
        prop::collection::vec((0i64..5, prop::option::weighted(0.2, prop::sample::select(values.to_vec()))), 1..40);
    let pair = Pair::new();
    proptest!(cases(40), |(steps in steps, block in prop::sample::select(vec![0i64, 7200]))| {
        pair.delete("window");
        for (points, put) in steps {
            if let Some(value) = put {
                pair.put("window", value);
            }
            let args = [points.into(), Arg::Int(5), Arg::Int(3600), Arg::Int(block)];
            let [mut redis, mut memory] = pair.run("flexible", "window", &args);
            for side in [&mut redis, &mut memory] {
                if let Ok((_, left)) = &mut side.0 {
                    *left = minutes(*left);
                }
            }
            prop_assert_eq!(redis, memory);
            let [redis, memory] = pair.minutes_left("window");
            prop_assert_eq!(redis, memory);
        }
    });
}

/// Any bytes under the key of a bucket are read alike.
#[test]
fn the_bucket_script_reads_what_others_wrote_as_its_twin_does() {
    let values = "[0-9]{1,12}|[0-9]{1,12}\\.[0-9]{0,9}|[-+ .0-9exnaif]{0,8}|9{300,320}";
    let pair = Pair::new();
    proptest!(cases(200), |(value in values, cost in 0i64..3)| {
        pair.delete("bucket");
        pair.put("bucket", &value);
        let args = [Arg::Int(9), Arg::Int(1), Arg::from("100"), cost.into(), Arg::Int(1_763_000_000_000_007)];
        let [redis, memory] = pair.run("redis_rate", "bucket", &args);
        prop_assert_eq!(redis, memory);
    });
}

/// The two sides.
struct Pair {
    runtime: Runtime,
    sides: [Backend; 2],
}

type Seen = (Result<(i64, i64), ErrorKind>, Option<Bytes>);

impl Pair {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let redis = runtime.block_on(Backend::redis(""));
        Self { runtime, sides: [redis, Backend::memory()] }
    }

    fn each<T>(&self, mut call: impl AsyncFnMut(&Backend) -> T) -> [T; 2] {
        self.sides.each_ref().map(|side| self.runtime.block_on(call(side)))
    }

    fn delete(&self, key: &str) {
        self.each(async |side| side.store.delete(&[key]).await.unwrap());
    }

    fn put(&self, key: &str, value: &str) {
        self.each(async |side| side.store.set(key, value.as_bytes(), SetOptions::default()).await.unwrap());
    }

    /// The two integers of a reply, and what the key holds then.
    fn run(&self, name: &str, key: &str, args: &[Arg<'_>]) -> [Seen; 2] {
        self.each(async |side| {
            let reply = side.run(script(name), &[key], args).await.map_err(|error| error.kind());
            let reply = reply.map(|reply| match reply {
                Reply::Array(items) => match items[..] {
                    [Reply::Int(first), Reply::Int(second)] => (first, second),
                    _ => panic!("two integers"),
                },
                _ => panic!("a table"),
            });
            (reply, side.store.get(key).await.unwrap())
        })
    }

    fn minutes_left(&self, key: &str) -> [i64; 2] {
        self.each(async |side| match side.store.ttl(key).await.unwrap() {
            Ttl::Remaining(left) => minutes(left.as_millis() as i64),
            Ttl::Missing => -2,
            Ttl::Unlimited => -1,
        })
    }
}

/// A real server's clock runs meanwhile.
fn minutes(millis: i64) -> i64 {
    (millis + 30_000) / 60_000
}

/// A limiter whose clock is moved by hand keeps its word as far as doubles can.
#[tokio::test]
async fn decisions_on_shared_buckets_are_true_to_a_microsecond() {
    for (limit, period, burst) in [(10, 1, 10), (7, 60, 3), (1000, 1, 1000), (1, 3600, 5), (333_333, 1, 50), (3, 7, 11)]
    {
        let clock = Clock::manual(1_763_000_000_123_457);
        let store: Arc<dyn KvStore> = Arc::new(MemoryStore::with_clock(clock.clone()));
        let limiter = redis_rate(&store, Quota::per(limit, SECOND * period).burst(burst));
        for left in (0..burst).rev() {
            let mut decision = limiter.check("ada").await.unwrap();
            if let Decision::Denied { retry_after, .. } = decision {
                // What the doubles have added up to.
                assert!(retry_after.unwrap() <= Duration::from_micros(1 + burst / 16), "{retry_after:?}");
                clock.advance(retry_after.unwrap());
                decision = limiter.check("ada").await.unwrap();
            }
            assert!(decision.is_allowed());
            assert!(decision.remaining() == left || limit > 100_000, "{decision:?} with {left} left of {burst}");
        }
        for n in [1, burst.min(3)] {
            let denied = limiter.check_n("ada", n).await.unwrap();
            let Decision::Denied { retry_after: Some(wait), remaining, .. } = denied else { panic!("{denied:?}") };
            assert!(remaining < n);
            let next = limiter.next_after(&denied).unwrap();
            assert!(n > 1 || next.abs_diff(wait) <= Duration::from_micros(2), "{next:?} {wait:?}");
            let at = clock.now_micros();
            clock.set_micros(at + wait.as_micros() as i64 - 2);
            assert!(!limiter.check_n("ada", n).await.unwrap().is_allowed(), "{wait:?} for {n} of {burst}");
            clock.set_micros(at + wait.as_micros() as i64);
            assert!(limiter.check_n("ada", n).await.unwrap().is_allowed(), "{wait:?} for {n} of {burst}");
        }
        let reset = limiter.peek("ada").await.unwrap().reset_after();
        clock.advance(reset);
        assert_eq!(limiter.peek("ada").await.unwrap().remaining(), burst);
        assert_eq!(limiter.check_n("ada", burst + 1).await.unwrap().retry_after(), None);
    }
}
