use super::*;
use crate::{Algorithm, RateLimitOptions, RateLimiter};
use kv_core::MemoryStore;
use std::sync::Arc;

fn limiter(quota: Quota) -> RateLimiter {
    RateLimiter::new(Arc::new(MemoryStore::new()), quota, RateLimitOptions::default()).unwrap()
}

fn fields(name: &str, quota: Quota) -> Fields {
    Fields::new(name, Unit::default(), quota, true, Legacy::Off)
}

fn allowed(remaining: u64, reset_after: Duration) -> Decision {
    Decision::Allowed { remaining, reset_after }
}

fn line(headers: &HeaderMap, name: &str) -> String {
    let mut lines = headers.get_all(name).iter();
    let line = lines.next().unwrap().to_str().unwrap().to_owned();
    assert!(lines.next().is_none(), "one line each");
    line
}

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn policies_read_as_in_the_draft() {
    let policy = |name, quota| fields(name, quota).policy;
    assert_eq!(policy("default", Quota::per(100, Duration::from_secs(10))), r#""default";q=100;w=10"#);
    assert_eq!(policy("permin", Quota::per_minute(50)), r#""permin";q=50;w=60"#);
    assert_eq!(policy("perhr", Quota::per_hour(1000)), r#""perhr";q=1000;w=3600"#);
    assert_eq!(policy(r#"a "\" b"#, Quota::per_second(1)), r#""a \"\\\" b";q=1;w=1"#);
    let bytes =
        Fields::new("peruser", Unit::ContentBytes, Quota::per(65_535, Duration::from_secs(10)), true, Legacy::Off);
    assert_eq!(bytes.policy, r#""peruser";q=65535;qu="content-bytes";w=10"#);
}

#[test]
fn a_burst_apart_from_the_rate_is_told_as_the_same_rate_and_never_as_more() {
    let told = |quota| {
        let fields = fields("p", quota);
        fields.policy.trim_start_matches("\"p\";").to_owned()
    };
    assert_eq!(told(Quota::per_second(10).burst(50)), "q=50;w=5");
    assert_eq!(told(Quota::per_minute(60).burst(10)), "q=10;w=10");
    assert_eq!(told(Quota::per_second(10).burst(2)), "q=10;w=1");
    assert_eq!(told(Quota::per(5, Duration::from_millis(100))), "q=50;w=1");
    assert_eq!(told(Quota::per(3, Duration::from_millis(1500))), "q=4;w=2");
    assert_eq!(told(Quota::per(1 << 52, Duration::from_secs(1))), "q=999999999999999;w=1");
    assert_eq!(told(Quota::per(u64::MAX, Duration::from_nanos(1)).burst(u64::MAX)), "q=999999999999999;w=1");
    assert_eq!(told(Quota::per(0, Duration::ZERO)), "q=0;w=1");
}

#[test]
fn the_limit_reads_as_in_the_draft() {
    // 50 of 100 left, refilled one each 30 s: the next in 30 s.
    let quota = Quota::per(100, Duration::from_secs(3000));
    let limiter = limiter(quota);
    let standing = Standing::new(&limiter, &allowed(50, Duration::from_secs(1500)), Duration::ZERO);
    let mut headers = HeaderMap::new();
    fields("default", quota).write(&mut headers, standing);
    assert_eq!(line(&headers, "ratelimit"), r#""default";r=50;t=30"#);
    assert_eq!(line(&headers, "ratelimit-policy"), r#""default";q=100;w=3000"#);
    assert!(headers.keys().all(|name| !name.as_str().starts_with("x-")));

    let full = Standing::new(&limiter, &allowed(100, Duration::ZERO), Duration::ZERO);
    let mut headers = HeaderMap::new();
    fields("default", quota).write(&mut headers, full);
    assert_eq!(line(&headers, "ratelimit"), r#""default";r=100"#, "there is no more to wait for");
}

#[test]
fn times_are_rounded_up_and_never_too_early() {
    let limiter = limiter(Quota::per_second(10));
    let denied = |retry: Option<Duration>| Decision::Denied {
        remaining: 0,
        retry_after: retry,
        reset_after: Duration::from_millis(999),
        banned: false,
    };
    let retry = |retry, jitter| Standing::new(&limiter, &denied(retry), jitter).retry;
    assert_eq!(retry(Some(Duration::from_micros(1)), Duration::ZERO), Some(1));
    assert_eq!(retry(Some(Duration::from_secs(1)), Duration::ZERO), Some(1));
    assert_eq!(retry(Some(Duration::from_nanos(1_000_000_001)), Duration::ZERO), Some(2));
    assert_eq!(retry(Some(Duration::from_secs(1)), Duration::from_secs(2)), Some(3));
    assert_eq!(retry(Some(Duration::MAX), Duration::MAX), Some(u64::MAX));
    assert_eq!(retry(None, Duration::from_secs(9)), None, "waiting never helps");
    let allowed = Standing::new(&limiter, &allowed(9, Duration::from_millis(100)), Duration::ZERO);
    assert_eq!((allowed.retry, allowed.next, allowed.reset), (None, Some(1), 1));
}

#[test]
fn more_can_be_taken_when_it_is_said() {
    let limiter = limiter(Quota::per_minute(7).burst(3));
    let unit = MINUTE / 7;
    let next = |remaining, reset| limiter.next_after(&allowed(remaining, reset));
    // All three taken: the first comes back after a seventh of a minute, and the last after three.
    assert!(next(0, unit * 3).unwrap().abs_diff(unit) < Duration::from_micros(1));
    assert!(next(2, unit).unwrap().abs_diff(unit) < Duration::from_micros(1));
    assert!(next(2, unit / 2).unwrap().abs_diff(unit / 2) < Duration::from_micros(1));
    assert_eq!(next(3, Duration::ZERO), None);
    assert_eq!(next(u64::MAX, Duration::MAX), None);
}

#[test]
fn policies_of_windows_are_those_windows() {
    let told = |quota, algorithm| fields("p", Quota::algorithm(quota, algorithm)).policy.replace("\"p\";", "");
    for windows in [Algorithm::FixedWindow, Algorithm::AlignedWindow, Algorithm::SlidingWindow, Algorithm::SlidingLog] {
        assert_eq!(told(Quota::per_minute(50), windows), "q=50;w=60");
        assert_eq!(told(Quota::per(5, Duration::from_millis(100)), windows), "q=50;w=1");
    }
    let refill = |burst| told(Quota::per_second(10).burst(burst), Algorithm::IntervalRefill);
    assert_eq!(refill(10), "q=10;w=1");
    assert_eq!(refill(25), "q=25;w=3", "it takes three refills");
    assert_eq!(refill(5), "q=5;w=1", "no more than fits");
    assert_eq!(told(Quota::per(0, Duration::ZERO).burst(0), Algorithm::IntervalRefill), "q=0;w=1");
}

#[test]
fn windows_say_when_there_is_more() {
    let limiter = |algorithm, burst| limiter(Quota::per_minute(10).burst(burst).algorithm(algorithm));
    let reset = Duration::from_secs(50);
    let denied = Decision::Denied { remaining: 1, retry_after: Some(reset / 2), reset_after: reset, banned: false };
    let never = Decision::Denied { remaining: 1, retry_after: None, reset_after: reset, banned: false };
    for windows in [Algorithm::FixedWindow, Algorithm::AlignedWindow, Algorithm::SlidingWindow, Algorithm::SlidingLog] {
        let limiter = limiter(windows, 10);
        assert_eq!(limiter.next_after(&allowed(10, Duration::ZERO)), None);
        assert_eq!(limiter.next_after(&allowed(3, reset)), Some(reset));
        assert_eq!(limiter.next_after(&denied), Some(reset / 2));
        assert_eq!(limiter.next_after(&never), Some(reset));
    }
    let refill = limiter(Algorithm::IntervalRefill, 25);
    assert_eq!(refill.next_after(&allowed(0, MINUTE * 2 + reset)), Some(reset), "of three refills");
    assert_eq!(refill.next_after(&allowed(5, MINUTE + reset)), Some(reset), "of two");
    assert_eq!(refill.next_after(&allowed(24, reset)), Some(reset));
    assert_eq!(refill.next_after(&allowed(25, Duration::ZERO)), None);
}

#[test]
fn what_layers_within_say_comes_first() {
    let quota = Quota::per_minute(50);
    let limiter = limiter(quota);
    let standing = Standing::new(&limiter, &allowed(49, MINUTE / 50), Duration::ZERO);
    let mut headers = HeaderMap::new();
    headers.append("ratelimit", HeaderValue::from_static(r#""x";r=1"#));
    headers.append("ratelimit", HeaderValue::from_static(r#""y";r=2"#));
    fields("permin", quota).write(&mut headers, standing);
    fields("perhr", Quota::per_hour(1000)).write(&mut headers, standing);
    assert_eq!(line(&headers, "ratelimit-policy"), r#""permin";q=50;w=60, "perhr";q=1000;w=3600"#);
    assert_eq!(line(&headers, "ratelimit"), r#""x";r=1, "y";r=2, "permin";r=49;t=2, "perhr";r=49;t=2"#);
}

#[test]
fn older_fields_tell_of_the_least_that_remains() {
    let quota = Quota::per_minute(60);
    let limiter = limiter(quota);
    let write = |headers: &mut HeaderMap, legacy, remaining, seconds: u64| {
        let decision = allowed(remaining, Duration::from_millis(seconds * 1000 - 1));
        let standing = Standing::new(&limiter, &decision, Duration::ZERO);
        Fields::new("p", Unit::default(), quota, false, legacy).write(headers, standing);
    };
    let mut headers = HeaderMap::new();
    write(&mut headers, Legacy::Delta, 58, 2);
    assert_eq!(headers.len(), 3, "nothing else: {headers:?}");
    assert_eq!(line(&headers, "x-ratelimit-limit"), "60");
    assert_eq!(line(&headers, "x-ratelimit-remaining"), "58");
    assert_eq!(line(&headers, "x-ratelimit-reset"), "2");
    write(&mut headers, Legacy::Delta, 59, 1);
    assert_eq!(
        (line(&headers, "x-ratelimit-remaining"), line(&headers, "x-ratelimit-reset")),
        ("58".into(), "2".into())
    );
    write(&mut headers, Legacy::Epoch, 3, 57);
    assert_eq!(line(&headers, "x-ratelimit-remaining"), "3");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let reset: u64 = line(&headers, "x-ratelimit-reset").parse().unwrap();
    assert!(reset.abs_diff(now + 57) <= 5, "{reset} at {now}");
}
