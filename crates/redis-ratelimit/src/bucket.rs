use kv_core::{Arg, Error, ErrorKind, Result, TwinContext};

/// What the twins of several buckets' scripts know of one.
pub(crate) struct Bucket {
    /// Ticks in it, no more than it can hold, reservations included.
    pub(crate) level: i64,
    /// It held more than it can: the clock went back, or the limit was lowered.
    pub(crate) clamped: bool,
}

impl Bucket {
    /// The bucket under a key, an empty one if there is none; [`ErrorKind::Corrupt`] for something else.
    pub(crate) fn load(store: &mut TwinContext<'_>, key: &str, most: i64, rate: i64, now: i64) -> Result<Self> {
        let Some(stored) = store.get(key)? else { return Ok(Self { level: 0, clamped: false }) };
        let corrupt = || Error::new(ErrorKind::Corrupt, "bucket").with_detail("key holds no bucket");
        let (at, rest) = parse(&stored).ok_or_else(corrupt)?;
        let ticks = at.saturating_sub(i128::from(now)).saturating_mul(i128::from(rate)).saturating_add(rest).max(0);
        let level = i64::try_from(ticks).unwrap_or(i64::MAX).min(most);
        Ok(Self { level, clamped: ticks > i128::from(most) })
    }

    /// Writes so many ticks.
    pub(crate) fn store(store: &mut TwinContext<'_>, key: &str, level: i64, rate: i64, now: i64, ttl: i64) {
        store.set(key, text(now + level / rate, level % rate), Some(ttl));
    }
}

/// What a bucket's key holds: when it is empty, and the ticks beyond that.
pub(crate) fn text(at: i64, rest: i64) -> String {
    if rest > 0 { format!("{at}:{rest}") } else { at.to_string() }
}

/// The most that a bucket holds: the capacity, unless a script is told of more.
pub(crate) fn most(capacity: i64, beyond: &[Arg<'_>]) -> Result<i64> {
    match beyond {
        [] => Ok(capacity),
        [most] => most.to_int(),
        _ => Err(Error::wrong_arity()),
    }
}

/// The time that a script is given, or the store's.
pub(crate) fn now(store: &TwinContext<'_>, given: Arg<'_>) -> Result<i64> {
    if given.to_bytes().is_empty() { Ok(store.now_micros()) } else { given.to_int() }
}

/// `digits`, `digits:` or `digits:digits`; a number too large for anything is as large as can be.
fn parse(stored: &[u8]) -> Option<(i128, i128)> {
    let number = |digits: &str| {
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse().unwrap_or(if digits.is_empty() { 0 } else { i128::MAX }))
    };
    let text = std::str::from_utf8(stored).ok()?;
    let (at, rest) = text.split_once(':').unwrap_or((text, ""));
    if at.is_empty() { None } else { Some((number(at)?, number(rest)?)) }
}
