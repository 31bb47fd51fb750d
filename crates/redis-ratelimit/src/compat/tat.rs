use kv_core::{Arg, Error, ErrorKind, Reply, Result, Script, TwinContext};

pub(crate) static REDIS_RATE: Script =
    Script::new("redis-ratelimit/redis_rate", include_str!("../../lua/redis_rate.lua"), redis_rate);

/// 2017-01-01, from which `redis_rate` counts.
const EPOCH: i64 = 1_483_228_800;

fn redis_rate(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[bucket], &[burst, rate, period, cost, now]) = (keys, args) else { return Err(Error::wrong_arity()) };
    let (burst, rate, cost) = (burst.to_int()? as f64, rate.to_int()? as f64, cost.to_int()? as f64);
    let period = double(&period.to_bytes()).ok_or_else(|| Error::invalid_input("script", "period is no number"))?;
    let micros = if now.to_bytes().is_empty() { store.now_micros() } else { now.to_int()? };

    let now = clock(micros);
    let mut tat = now;
    if let Some(stored) = store.get(bucket)? {
        let corrupt = || Error::new(ErrorKind::Corrupt, "redis_rate").with_detail("key holds no bucket");
        tat = double(&stored).ok_or_else(corrupt)?.max(now);
    }
    let interval = period / rate;
    let after = tat + interval * cost;
    let allow_at = after - interval * burst;
    let answer = |nanos: i64, wait: i64| Ok(Reply::Array(vec![Reply::Int(nanos), Reply::Int(wait)]));
    if allow_at > now {
        let mut wait = told(allow_at - now, 1e6).max(1);
        if clock(micros.saturating_add(wait)) < allow_at {
            wait += 1;
        }
        return answer(told(tat - now, 1e9), wait);
    }
    let left = after - now;
    if cost > 0.0 && left > 0.0 {
        store.set(bucket, seventeen_digits(after), Some((left.ceil() as i64).saturating_mul(1000)));
    }
    answer(told(left, 1e9), 0)
}

fn clock(micros: i64) -> f64 {
    (micros.div_euclid(1_000_000) - EPOCH) as f64 + micros.rem_euclid(1_000_000) as f64 / 1e6
}

/// In so many parts of a second, to the nearest.
fn told(seconds: f64, scale: f64) -> i64 {
    (seconds.min(4_503_599_627.0) * scale + 0.5).floor() as i64
}

/// Digits, with or without a fraction.
fn double(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) { None } else { text.parse().ok() }
}

/// C's `%.17g` of a number of seconds: as many digits as tell every double from the next.
fn seventeen_digits(number: f64) -> String {
    let scientific = format!("{number:.16e}");
    let exponent: i32 = scientific.rsplit_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0);
    let decimals = usize::try_from(16 - exponent).unwrap_or(0);
    let plain = format!("{number:.decimals$}");
    if plain.contains('.') { plain.trim_end_matches('0').trim_end_matches('.').to_owned() } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_written_as_c_writes_them() {
        for (number, text) in [
            (312_145_071.975_806_06, "312145071.97580606"),
            (216_771_200.1, "216771200.09999999"),
            (216_771_200.0, "216771200"),
            (216_771_200.5, "216771200.5"),
            (0.1, "0.10000000000000001"),
            (1e16, "10000000000000000"),
        ] {
            assert_eq!(seventeen_digits(number), text);
            assert_eq!(double(text.as_bytes()), Some(number));
        }
        for garbage in ["", ".", ".5", "-1", "1e9", "nan", "inf", "0x10", " 1", "1 ", "1.2.3", "+1"] {
            assert_eq!(double(garbage.as_bytes()), None, "{garbage:?}");
        }
    }
}
