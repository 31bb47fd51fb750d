mod ask;
mod fixed;
mod log;
mod numbers;
mod refill;
mod sliding;

pub(crate) use ask::Ask;
pub(crate) use {fixed::FIXED, log::LOG, refill::REFILL, sliding::SLIDING};

use crate::{Algorithm, Decision, Quota};
use fixed::Fixed;
use kv_core::{Arg, Error, ErrorKind, KvStore, KvStoreExt, Reply, Result, Script};
use log::Log;
use refill::Refill;
use sliding::Sliding;
use std::sync::Arc;

/// Numbers up to here are exact in Lua, with sums of some of them to spare.
const MAX: u128 = 1 << 51;

/// A quota that is counted by windows, and not by GCRA.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    counter: Counter,
    /// Of the key: neither another algorithm nor another period reads what this one writes.
    suffix: Arc<str>,
}

#[derive(Clone, Copy, Debug)]
enum Counter {
    Fixed(Fixed),
    Sliding(Sliding),
    Log(Log),
    Refill(Refill),
}

impl Window {
    /// None for GCRA, which has no windows.
    pub(crate) fn new(quota: Quota) -> Result<Option<Self>> {
        let terms = || Terms::new(quota);
        let (name, counter) = match quota.algorithm {
            Algorithm::Gcra => return Ok(None),
            Algorithm::FixedWindow => ("fixed", Counter::Fixed(Fixed::new(&terms()?, false))),
            Algorithm::AlignedWindow => ("aligned", Counter::Fixed(Fixed::new(&terms()?, true))),
            Algorithm::SlidingWindow => ("sliding", Counter::Sliding(Sliding::new(&terms()?))),
            Algorithm::SlidingLog => ("log", Counter::Log(Log::new(&terms()?)?)),
            Algorithm::IntervalRefill => ("refill", Counter::Refill(Refill::new(&terms()?)?)),
        };
        Ok(Some(Self { counter, suffix: format!("{name}:{}", terms()?.period).into() }))
    }

    pub(crate) fn suffix(&self) -> &str {
        &self.suffix
    }

    /// How many units were taken, and what is said of that. One round trip.
    pub(crate) async fn ask(&self, store: &dyn KvStore, key: &str, ask: Ask) -> Result<(u64, Decision)> {
        let (script, limit, period, ttl_micros, extra) = match &self.counter {
            Counter::Fixed(fixed) => (&FIXED, fixed.limit, fixed.period, fixed.period, Some(fixed.aligned.into())),
            Counter::Sliding(sliding) => {
                (&SLIDING, sliding.limit, sliding.period, 2 * sliding.period, Some(sliding.step))
            }
            Counter::Log(log) => (&LOG, log.limit, log.period, log.period, None),
            Counter::Refill(refill) => (&REFILL, refill.burst, refill.period, refill.whole(), Some(refill.limit)),
        };
        let (units, what) = ask.wire(limit);
        // A second more than it takes to be over.
        let mut args = Vec::with_capacity(7);
        args.extend([limit, units, what, period, ttl_micros / 1000 + 1001].map(Arg::Int));
        args.push(Arg::Bytes(b""));
        args.extend(extra.map(Arg::Int));
        let reply = store.require_scripts(script.name())?.run(script, &[key], &args).await?;
        Ok(match &self.counter {
            Counter::Fixed(fixed) => ask.answer(&fixed.found(integers(reply, script)?)),
            Counter::Sliding(sliding) => ask.answer(&sliding.found(integers(reply, script)?)),
            Counter::Log(log) => ask.answer(&log.found(integers(reply, script)?)),
            Counter::Refill(refill) => ask.answer(&refill.found(integers(reply, script)?)),
        })
    }
}

/// A quota in whole numbers, the period in microseconds.
struct Terms {
    limit: i64,
    burst: i64,
    period: i64,
}

impl Terms {
    fn new(quota: Quota) -> Result<Self> {
        let invalid = |detail| Err(Error::invalid_config("ratelimit", detail));
        let period = quota.period.as_nanos().div_ceil(1000);
        if quota.limit == 0 {
            return invalid("quota must not be zero");
        }
        if quota.burst == 0 {
            return invalid("burst must not be zero");
        }
        if period == 0 {
            return invalid("period must not be zero");
        }
        if period > MAX {
            return invalid("period is longer than 71 years");
        }
        if u128::from(quota.limit.max(quota.burst)) > MAX {
            return invalid("quota is larger than 2^51");
        }
        if quota.burst != quota.limit && quota.algorithm != Algorithm::IntervalRefill {
            return invalid("burst must be the limit: this algorithm has no other");
        }
        Ok(Self { limit: quota.limit as i64, burst: quota.burst as i64, period: period as i64 })
    }
}

/// So many integers, none of them negative.
fn integers<const N: usize>(reply: Reply, script: &Script) -> Result<[u64; N]> {
    let unexpected = || Error::new(ErrorKind::UnexpectedReply, script.name());
    let items = <[Reply; N]>::try_from(reply.into_array(script.name())?).map_err(|_| unexpected())?;
    let mut numbers = [0; N];
    for (number, item) in numbers.iter_mut().zip(items) {
        *number = u64::try_from(item.into_int(script.name())?).map_err(|_| unexpected())?;
    }
    Ok(numbers)
}
