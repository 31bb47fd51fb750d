use super::{Legacy, Limit, Unit};
use crate::{Algorithm, Decision, Quota};
use http::{
    HeaderMap, HeaderValue,
    header::{HeaderName, RETRY_AFTER},
};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The largest integer of a structured field.
const MAX_INTEGER: u64 = 999_999_999_999_999;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const LEGACY_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const LEGACY_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const LEGACY_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// What responses say of one policy.
#[derive(Debug)]
pub(super) struct Fields {
    /// The name as a string of a structured field.
    name: String,
    policy: String,
    quota: u64,
    draft: bool,
    legacy: Legacy,
}

/// What is told of one decision: the times, rounded up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    remaining: u64,
    /// Until more can be taken; none if all there is can be.
    next: Option<u64>,
    reset: u64,
    /// For a request that is denied.
    pub(super) retry: Option<u64>,
}

impl Standing {
    pub(super) fn new(limiter: &dyn Limit, decision: &Decision, jitter: Duration) -> Self {
        let told = |time: Duration| seconds(time.saturating_add(jitter));
        let next = limiter.next_after(decision).map(told);
        let retry = if decision.is_allowed() { None } else { decision.retry_after() };
        Self {
            remaining: decision.remaining(),
            next,
            reset: told(decision.reset_after()),
            // Not before `t`, which rounding may put a microsecond later.
            retry: retry.map(|retry| told(retry).max(next.unwrap_or(0))),
        }
    }
}

impl Fields {
    pub(super) fn new(name: &str, unit: Unit, quota: Quota, draft: bool, legacy: Legacy) -> Self {
        let name = format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
        let (quota, window) = window(quota);
        let unit = match unit {
            Unit::Requests => "",
            Unit::ContentBytes => ";qu=\"content-bytes\"",
            Unit::ConcurrentRequests => ";qu=\"concurrent-requests\"",
        };
        let policy = format!("{name};q={quota}{unit};w={window}");
        Self { name, policy, quota, draft, legacy }
    }

    /// Adds to what a response says, after what layers within have said.
    pub(super) fn write(&self, headers: &mut HeaderMap, standing: Standing) {
        if self.draft {
            append(headers, POLICY, &self.policy);
            let mut limit = format!("{};r={}", self.name, standing.remaining.min(MAX_INTEGER));
            if let Some(next) = standing.next {
                limit.push_str(&format!(";t={}", next.min(MAX_INTEGER)));
            }
            append(headers, LIMIT, &limit);
        }
        self.write_legacy(headers, standing);
    }

    fn write_legacy(&self, headers: &mut HeaderMap, standing: Standing) {
        let epoch = match self.legacy {
            Legacy::Off => return,
            Legacy::Delta => Duration::ZERO,
            Legacy::Epoch => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        };
        let told = headers.get(LEGACY_REMAINING).and_then(|value| value.to_str().ok()?.parse().ok());
        if told.is_some_and(|remaining: u64| remaining <= standing.remaining) {
            return;
        }
        headers.insert(LEGACY_LIMIT, self.quota.into());
        headers.insert(LEGACY_REMAINING, standing.remaining.into());
        headers.insert(LEGACY_RESET, seconds(epoch).saturating_add(standing.reset).into());
    }
}

/// Sets `Retry-After`, unless the response has its own.
pub(super) fn retry_after(headers: &mut HeaderMap, seconds: u64) {
    headers.entry(RETRY_AFTER).or_insert_with(|| seconds.into());
}

/// Whole seconds, never fewer.
pub(super) fn seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}

/// The `q` and `w` of a quota: the burst and the time it takes to refill where that is whole seconds, so that `r` is never more
/// than `q`; else what the rate allows in the period, the seconds rounded up and the units down.
fn window(quota: Quota) -> (u64, u64) {
    const SECOND: u128 = 1_000_000_000;
    let (limit, burst, period) = (u128::from(quota.limit), u128::from(quota.burst), quota.period.as_nanos());
    // What comes back at the end of a period is no more than fits, and nothing comes back before.
    let (limit, refill) = match quota.algorithm {
        Algorithm::IntervalRefill => {
            let limit = limit.min(burst);
            (limit, period.saturating_mul(burst.div_ceil(limit.max(1))).saturating_mul(limit))
        }
        _ => (limit, period.saturating_mul(burst)),
    };
    let (units, window) = if refill > 0 && refill.checked_rem(limit * SECOND) == Some(0) {
        (burst, refill / (limit * SECOND))
    } else {
        let window = period.div_ceil(SECOND).max(1);
        ((window * SECOND).saturating_mul(limit) / period.max(1), window)
    };
    let cap = |number: u128| u64::try_from(number).unwrap_or(u64::MAX).min(MAX_INTEGER);
    (cap(units), cap(window))
}

/// One more item of a list, on one line with those before it: not every client reads more than one.
fn append(headers: &mut HeaderMap, name: HeaderName, item: &str) {
    let mut list = Vec::new();
    for line in headers.get_all(&name) {
        list.extend_from_slice(line.as_bytes());
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(item.as_bytes());
    if let Ok(list) = HeaderValue::from_bytes(&list) {
        headers.insert(name, list);
    }
}

#[cfg(test)]
mod tests;
