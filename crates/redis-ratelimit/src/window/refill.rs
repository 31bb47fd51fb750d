use super::{
    Terms,
    ask::{Found, Given},
    numbers,
};
use kv_core::{Arg, Error, Reply, Result, Script, TwinContext};
use std::time::Duration;

pub(crate) static REFILL: Script = Script::new("redis-ratelimit/refill", include_str!("../../lua/refill.lua"), refill);

/// A bucket that gets some units back at the end of each period.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refill {
    pub(super) limit: i64,
    pub(super) burst: i64,
    pub(super) period: i64,
}

#[derive(Clone, Copy)]
pub(super) struct FoundRefill {
    refill: Refill,
    missing: u64,
    /// Microseconds until the period is over.
    left: u64,
}

impl Refill {
    pub(super) fn new(terms: &Terms) -> Result<Self> {
        let &Terms { limit, burst, period } = terms;
        let whole = (burst as u128).div_ceil(limit as u128) * period as u128;
        if whole > super::MAX {
            return Err(Error::invalid_config("ratelimit", "burst takes longer than 71 years to refill"));
        }
        Ok(Self { limit, burst, period })
    }

    /// How long an empty bucket takes to be full.
    pub(super) fn whole(self) -> i64 {
        (self.burst / self.limit + i64::from(self.burst % self.limit > 0)) * self.period
    }

    pub(super) fn found(self, [missing, left]: [u64; 2]) -> FoundRefill {
        FoundRefill { refill: self, missing: missing.min(self.burst as u64), left: left.min(self.period as u64) }
    }
}

impl FoundRefill {
    /// When so many units are back.
    fn back(&self, units: u64) -> Duration {
        let periods = units.div_ceil(self.refill.limit as u64).saturating_sub(1);
        Duration::from_micros(if units > 0 { self.left + periods * self.refill.period as u64 } else { 0 })
    }
}

impl Found for FoundRefill {
    fn capacity(&self) -> u64 {
        self.refill.burst as u64
    }

    fn room(&self) -> u64 {
        self.capacity() - self.missing
    }

    fn taken(self, units: u64) -> Self {
        Self { missing: self.missing + units, ..self }
    }

    fn given_back(self, units: u64) -> Self {
        Self { missing: self.missing.saturating_sub(units), ..self }
    }

    fn wait(&self, units: u64) -> Duration {
        self.back(units.saturating_sub(self.room()))
    }

    fn reset(&self) -> Duration {
        self.back(self.missing)
    }
}

fn refill(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[key], Some((given, &[limit]))) = (keys, args.split_first_chunk()) else { return Err(Error::wrong_arity()) };
    // What limits at once is the burst.
    let (given, limit) = (Given::read(store, given)?, limit.to_int()?);
    let (now, burst) = (given.now, given.limit);
    let (mut since, mut missing, mut is_ahead) = (now, 0, false);
    if let Some([at, lacking]) = numbers::load(store, key)? {
        missing = lacking.min(burst);
        is_ahead = at > now;
        if !is_ahead {
            let periods = (now - at) / given.period;
            missing = (missing - periods.saturating_mul(limit)).max(0);
            if missing > 0 {
                since = at + periods * given.period;
            }
        }
    }
    let moved = given.moved(burst - missing, missing);
    if missing + moved > 0 {
        if moved != 0 || is_ahead {
            store.set(key, format!("{since}:{}", missing + moved), Some(given.ttl));
        }
    } else if moved < 0 {
        store.delete(key);
    }
    Ok(Reply::Array(vec![Reply::Int(missing), Reply::Int(since + given.period - now)]))
}
