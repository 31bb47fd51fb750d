use super::{
    Terms,
    ask::{Found, Given},
    numbers,
};
use kv_core::{Arg, Error, Reply, Result, Script, TwinContext};
use std::time::Duration;

pub(crate) static FIXED: Script = Script::new("redis-ratelimit/fixed", include_str!("../../lua/fixed.lua"), fixed);

/// One window after the other, from the first unit taken or from 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fixed {
    pub(super) limit: i64,
    pub(super) period: i64,
    pub(super) aligned: bool,
}

#[derive(Clone, Copy)]
pub(super) struct FoundFixed {
    limit: u64,
    used: u64,
    /// Microseconds until the window is over.
    left: u64,
}

impl Fixed {
    pub(super) fn new(terms: &Terms, aligned: bool) -> Self {
        Self { limit: terms.limit, period: terms.period, aligned }
    }

    pub(super) fn found(self, [used, left]: [u64; 2]) -> FoundFixed {
        FoundFixed { limit: self.limit as u64, used, left: left.min(self.period as u64) }
    }
}

impl Found for FoundFixed {
    fn capacity(&self) -> u64 {
        self.limit
    }

    fn room(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    fn taken(self, units: u64) -> Self {
        Self { used: self.used + units, ..self }
    }

    fn given_back(self, units: u64) -> Self {
        Self { used: self.used.saturating_sub(units), ..self }
    }

    fn wait(&self, _: u64) -> Duration {
        Duration::from_micros(self.left)
    }

    fn reset(&self) -> Duration {
        Duration::from_micros(if self.used > 0 { self.left } else { 0 })
    }
}

fn fixed(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[key], Some((given, &[aligned]))) = (keys, args.split_first_chunk()) else {
        return Err(Error::wrong_arity());
    };
    let given = Given::read(store, given)?;
    let now = given.now;
    let mut till = now + given.period;
    if aligned.to_int()? == 1 {
        till -= now.rem_euclid(given.period);
    }
    let (mut used, mut is_ahead) = (0, false);
    if let Some([at, count]) = numbers::load(store, key)?
        && at > now
    {
        (used, is_ahead) = (count, at > till);
        till = at.min(till);
    }
    let moved = given.moved((given.limit - used).max(0), used);
    if used + moved > 0 {
        if moved != 0 || is_ahead {
            store.set(key, format!("{till}:{}", used + moved), Some(given.ttl));
        }
    } else if moved < 0 {
        store.delete(key);
    }
    Ok(Reply::Array(vec![Reply::Int(used), Reply::Int(till - now)]))
}
