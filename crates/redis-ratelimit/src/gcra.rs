use crate::{Algorithm, Decision, Quota};
use kv_core::{Arg, Error, ErrorKind, Result};
use std::time::Duration;

/// Numbers up to here are exact in Lua, with one addition to spare.
const MAX_TICKS: u128 = 1 << 52;

/// A quota in ticks: the generic cell rate algorithm in whole numbers.
///
/// A bucket fills by `per_unit` ticks for each unit taken and drains by `per_micro` ticks a microsecond. The two are the period
/// over the limit in lowest terms, so nothing is ever rounded, 7 per 60 s included. See
/// <https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gcra {
    per_unit: i64,
    pub(crate) per_micro: i64,
    pub(crate) capacity: i64,
    /// The capacity and what may wait beyond it: no bucket holds more.
    pub(crate) most: i64,
    burst: u64,
}

impl Gcra {
    pub(crate) fn new(quota: Quota) -> Result<Self> {
        Self::with_wait(quota, Duration::ZERO)
    }

    /// With reservations that wait for so long at the most.
    pub(crate) fn with_wait(quota: Quota, longest: Duration) -> Result<Self> {
        if quota.algorithm != Algorithm::Gcra {
            return Err(not_gcra());
        }
        let invalid = |detail| Err(Error::invalid_config("ratelimit", detail));
        let (limit, burst) = (u128::from(quota.limit), u128::from(quota.burst));
        let period = quota.period.as_nanos().div_ceil(1000);
        if limit == 0 {
            return invalid("quota must not be zero");
        }
        if burst == 0 {
            return invalid("burst must not be zero");
        }
        if period == 0 {
            return invalid("period must not be zero");
        }
        let divisor = gcd(period, limit);
        let (mut per_unit, mut per_micro) = (period / divisor, limit / divisor);
        if burst > MAX_TICKS {
            return invalid("burst is larger than 2^52");
        }
        let waiting = longest.as_micros().saturating_mul(limit).div_ceil(period);
        let units = burst.saturating_add(waiting);
        if units > MAX_TICKS {
            return invalid("longest_wait has room for more than 2^52");
        }
        if per_unit.saturating_mul(units) > MAX_TICKS {
            // Coarser ticks, and a unit rounded up: never more than the quota, and less by a part in 2^51 / units.
            per_micro = (MAX_TICKS / units - 1).saturating_mul(limit) / period;
            per_unit = (period.saturating_mul(per_micro)).div_ceil(limit);
        }
        if per_micro == 0 || per_unit == 0 {
            return invalid(if waiting > burst {
                "longest_wait must be less than 140 years"
            } else {
                "burst takes longer than 140 years to refill"
            });
        }
        if per_micro > MAX_TICKS {
            return invalid("quota is more than 2^52 per microsecond");
        }
        let (per_unit, per_micro, longest) = (per_unit as i64, per_micro as i64, longest.as_micros() as i64);
        let capacity = per_unit * quota.burst as i64;
        Ok(Self { per_unit, per_micro, capacity, most: capacity + longest * per_micro, burst: quota.burst })
    }

    /// The ticks of so many units; more than the burst counts as one more, which is denied as well.
    pub(crate) fn cost(&self, units: u64) -> i64 {
        self.per_unit * units.min(self.burst + 1) as i64
    }

    /// How long the fullest bucket takes to drain, in milliseconds, and a second more.
    pub(crate) fn ttl_millis(&self) -> i64 {
        self.most / self.per_micro / 1000 + 1001
    }

    /// What scripts are told of buckets with reservations, and not of others.
    pub(crate) fn beyond(&self) -> Option<Arg<'static>> {
        (self.most > self.capacity).then_some(Arg::Int(self.most))
    }

    /// The room in a bucket as it can be: less than none where reservations wait.
    pub(crate) fn room(&self, told: i64) -> i64 {
        told.clamp(self.capacity - self.most, self.capacity)
    }

    /// The decision behind the room that a request for so many units left.
    pub(crate) fn decide(&self, units: u64, room: i64) -> Decision {
        if room >= 0 || units == 0 {
            return self.allowed(room);
        }
        self.denied(units, room + self.cost(units))
    }

    /// What a request for so many units would get from a bucket with this room, which stays as it is.
    pub(crate) fn preview(&self, units: u64, room: i64) -> Decision {
        if units > 0 && room < self.cost(units) {
            return self.denied(units, room);
        }
        self.allowed(room)
    }

    /// How many of so many units a bucket with this room gives, and what is said of that.
    pub(crate) fn grant(&self, units: u64, room: i64) -> (u64, Decision) {
        let granted = units.min(self.whole(room));
        match granted {
            0 => (0, self.preview(units.min(1), room)),
            granted => (granted, self.decide(granted, room - self.cost(granted))),
        }
    }

    fn allowed(&self, room: i64) -> Decision {
        Decision::Allowed { remaining: self.whole(room), reset_after: self.drain(self.capacity - room) }
    }

    fn denied(&self, units: u64, room: i64) -> Decision {
        Decision::Denied {
            remaining: self.whole(room),
            retry_after: (units <= self.burst).then(|| self.drain(self.cost(units) - room)),
            reset_after: self.drain(self.capacity - room),
            banned: false,
        }
    }

    /// How many units so many ticks are room for.
    fn whole(&self, room: i64) -> u64 {
        // Most that are denied have none: a division less.
        if room < self.per_unit { 0 } else { (room / self.per_unit) as u64 }
    }

    /// How long so many ticks take to drain, in whole microseconds rounded up.
    pub(crate) fn drain(&self, ticks: i64) -> Duration {
        let ticks = ticks as u64;
        Duration::from_micros(if self.per_micro == 1 { ticks } else { ticks.div_ceil(self.per_micro as u64) })
    }
}

/// What builds on the bucket of GCRA says of other algorithms.
pub(crate) fn not_gcra() -> Error {
    Error::new(ErrorKind::Unsupported, "ratelimit").with_detail("this takes no algorithm but Gcra")
}

fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_quota_is_rounded_up_nor_down_by_more_than_is_said() {
        let days = Duration::from_secs(24 * 60 * 60);
        let mut rounded = 0;
        for limit in [1, 2, 7, 10, 97, 1000, 65_537, 999_983, 999_999_937] {
            for period in [Duration::from_micros(1), Duration::from_micros(999_983), days, days * 31, days * 3650] {
                for burst in [1, 3, 1000, 999_983, 123_456_789, 1 << 40] {
                    let Ok(gcra) = Gcra::new(Quota::per(limit, period).burst(burst)) else { continue };
                    // per_unit / per_micro against period / limit, crosswise.
                    let ours = gcra.per_unit as u128 * u128::from(limit);
                    let exact = period.as_micros() * gcra.per_micro as u128;
                    assert!(ours >= exact, "more than the quota: {limit} per {period:?}, burst {burst}");
                    assert!((ours - exact) << 51 <= exact * u128::from(burst), "{limit} per {period:?}, burst {burst}");
                    assert!(u128::from(gcra.capacity as u64) <= MAX_TICKS);
                    rounded += usize::from(ours > exact);
                }
            }
        }
        assert!(rounded > 5, "the quotas must reach into the rounded ones: {rounded}");
    }
}
