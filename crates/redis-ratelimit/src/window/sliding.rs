use super::{
    Terms,
    ask::{Found, Given},
    numbers,
};
use kv_core::{Arg, Error, Reply, Result, Script, TwinContext};
use std::time::Duration;

pub(crate) static SLIDING: Script =
    Script::new("redis-ratelimit/sliding", include_str!("../../lua/sliding.lua"), sliding);

/// Two windows from 1970 on, of which the older one counts by the share that is still within a period.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sliding {
    pub(super) limit: i64,
    pub(super) period: i64,
    /// Microseconds by which the share falls.
    pub(super) step: i64,
}

#[derive(Clone, Copy)]
pub(super) struct FoundSliding {
    sliding: Sliding,
    /// Units of the window before.
    before: u64,
    used: u64,
    /// Microseconds since this window began.
    elapsed: u64,
}

impl Sliding {
    /// The step is as small as keeps the products of limit and steps exact.
    pub(super) fn new(terms: &Terms) -> Self {
        let (limit, period) = (terms.limit as u128, terms.period as u128);
        let step = (limit * period).div_ceil(2 * super::MAX - limit) as i64;
        Self { limit: terms.limit, period: terms.period, step }
    }

    pub(super) fn found(self, [before, used, elapsed]: [u64; 3]) -> FoundSliding {
        FoundSliding { sliding: self, before, used, elapsed: elapsed.min(self.period as u64) }
    }

    /// How much a window of so many units counts after so long in the next one.
    fn weight(self, units: i64, elapsed: i64) -> i64 {
        let steps = whole(self.period, self.step);
        whole(units.min(self.limit).saturating_mul(steps - elapsed / self.step), steps)
    }

    /// How long into a window the one before, of so many units, counts for no more than this; its end at the latest.
    fn until_weight(self, units: u64, most: u64) -> u64 {
        let (steps, units) = (whole(self.period, self.step) as u64, units.min(self.limit as u64));
        let kept = (u128::from(most) * u128::from(steps)).checked_div(units.into()).unwrap_or(u128::MAX);
        let gone = u128::from(steps).saturating_sub(kept) as u64;
        gone.saturating_mul(self.step as u64).min(self.period as u64)
    }
}

/// A quotient of what is not negative, rounded up.
fn whole(of: i64, by: i64) -> i64 {
    of / by + i64::from(of % by > 0)
}

impl FoundSliding {
    fn limit(&self) -> u64 {
        self.sliding.limit as u64
    }

    /// Until this window is over.
    fn left(&self) -> u64 {
        self.sliding.period as u64 - self.elapsed
    }
}

impl Found for FoundSliding {
    fn capacity(&self) -> u64 {
        self.limit()
    }

    fn room(&self) -> u64 {
        let before = i64::try_from(self.before).unwrap_or(i64::MAX);
        let weight = self.sliding.weight(before, self.elapsed as i64) as u64;
        self.limit().saturating_sub(self.used).saturating_sub(weight)
    }

    fn taken(self, units: u64) -> Self {
        Self { used: self.used + units, ..self }
    }

    fn given_back(self, units: u64) -> Self {
        let rest = units.saturating_sub(self.used);
        Self { used: self.used.saturating_sub(units), before: self.before.saturating_sub(rest), ..self }
    }

    fn wait(&self, units: u64) -> Duration {
        if let Some(most) = self.limit().checked_sub(self.used.saturating_add(units)) {
            return Duration::from_micros(self.sliding.until_weight(self.before, most).saturating_sub(self.elapsed));
        }
        Duration::from_micros(self.left() + self.sliding.until_weight(self.used, self.limit().saturating_sub(units)))
    }

    fn reset(&self) -> Duration {
        Duration::from_micros(match (self.used, self.before) {
            (0, 0) => 0,
            (0, _) => self.left(),
            _ => self.left() + self.sliding.period as u64,
        })
    }
}

fn sliding(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[key], Some((given, &[step]))) = (keys, args.split_first_chunk()) else { return Err(Error::wrong_arity()) };
    let given = Given::read(store, given)?;
    let counter = Sliding { limit: given.limit, period: given.period, step: step.to_int()?.clamp(1, numbers::MOST) };
    let elapsed = given.now.rem_euclid(given.period);
    let start = given.now - elapsed;
    let (mut before, mut used, mut is_ahead) = (0, 0, false);
    if let Some([at, older, newer]) = numbers::load(store, key)? {
        if at >= start {
            (before, used, is_ahead) = (older, newer, at > start);
        } else if at >= start - given.period {
            before = newer;
        }
    }
    let reply = [before, used, elapsed].map(Reply::Int);
    let moved = given.moved((given.limit - used - counter.weight(before, elapsed)).max(0), used + before);
    used += moved;
    if used < 0 {
        (before, used) = (before + used, 0);
    }
    if used + before > 0 {
        if moved != 0 || is_ahead {
            store.set(key, format!("{start}:{before}:{used}"), Some(given.ttl));
        }
    } else if moved < 0 {
        store.delete(key);
    }
    Ok(Reply::Array(reply.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn larger_steps_never_count_less_and_hardly_more() {
        let mut larger = 0;
        for limit in [1, 7, 10_000, 999_983, 1 << 40, 1 << 51] {
            for period in [1, 1000, 999_983, 86_400_000_000, 2_592_000_000_000, 1 << 51] {
                let sliding = Sliding::new(&Terms { limit, burst: limit, period });
                let steps = whole(period, sliding.step);
                assert!(limit as u128 * steps as u128 <= 1 << 52, "{sliding:?}: a product that a double rounds");
                larger += u32::from(sliding.step > 1);
                for units in [1, limit / 3, limit] {
                    for elapsed in [0, 1, period / 3, period - 1].into_iter().filter(|elapsed| *elapsed < period) {
                        let exact = (units as u128 * (period - elapsed) as u128).div_ceil(period as u128) as i64;
                        let ours = sliding.weight(units, elapsed);
                        let most = whole_share(units, 2 * sliding.step, period);
                        assert!(ours >= exact && ours <= exact + most, "{sliding:?}: {ours} and not {exact}");
                        assert!(sliding.step > 1 || ours == exact, "{sliding:?}: {ours} and not {exact}");
                    }
                }
            }
        }
        assert!(larger > 9, "{larger}");
    }

    fn whole_share(units: i64, step: i64, period: i64) -> i64 {
        (units as u128 * step as u128).div_ceil(period as u128) as i64
    }
}
