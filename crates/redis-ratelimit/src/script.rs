use crate::{
    check_many::CHECK_MANY,
    concurrency::{ENTER, LEAVE, STAY},
    limits::CHECK_ALL,
    refund::REFUND,
};
use kv_core::{Arg, Error, ErrorKind, Reply, Result, Script, TwinContext};

pub(crate) static CHECK: Script = Script::new("redis-ratelimit/check", include_str!("../lua/check.lua"), check);

/// Every script of this crate, for those who audit, preload or compare them.
pub static SCRIPTS: [&Script; 7] = [&CHECK, &CHECK_ALL, &CHECK_MANY, &ENTER, &LEAVE, &REFUND, &STAY];

fn check(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[bucket], &[capacity, cost, rate, ttl, now]) = (keys, args) else { return Err(Error::wrong_arity()) };
    let (capacity, cost, rate) = (capacity.to_int()?, cost.to_int()?, rate.to_int()?);
    let now = if now.to_bytes().is_empty() { store.now_micros() } else { now.to_int()? };

    let (mut level, mut clamped) = (0, false);
    if let Some(stored) = store.get(bucket)? {
        let (at, rest) =
            parse(&stored).ok_or_else(|| Error::new(ErrorKind::Corrupt, "check").with_detail("key holds no bucket"))?;
        let stored = at.saturating_sub(i128::from(now)).saturating_mul(i128::from(rate)).saturating_add(rest).max(0);
        clamped = stored > i128::from(capacity);
        level = i64::try_from(stored).unwrap_or(i64::MAX).min(capacity);
    }
    let room = capacity - level - cost;
    if room >= 0 && cost > 0 {
        level += cost;
    } else if cost == 0 || !clamped {
        return Ok(Reply::Int(room));
    }
    let (at, rest) = (now + level / rate, level % rate);
    let value = if rest > 0 { format!("{at}:{rest}") } else { at.to_string() };
    store.set(bucket, value, Some(ttl.to_int()?));
    Ok(Reply::Int(room))
}

/// `digits`, `digits:` or `digits:digits`; a number too large for anything is as large as can be.
pub(crate) fn parse(stored: &[u8]) -> Option<(i128, i128)> {
    let number = |digits: &str| {
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse().unwrap_or(if digits.is_empty() { 0 } else { i128::MAX }))
    };
    let text = std::str::from_utf8(stored).ok()?;
    let (at, rest) = text.split_once(':').unwrap_or((text, ""));
    if at.is_empty() { None } else { Some((number(at)?, number(rest)?)) }
}
