use super::numbers::MOST;
use crate::{Decision, bucket};
use kv_core::{Arg, Error, Result, TwinContext};
use std::time::Duration;

/// What is asked of a script.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ask {
    /// So many units, or none.
    Take(u64),
    /// As many of so many units as there are.
    TakeAtMost(u64),
    /// What taking so many units would say.
    Look(u64),
    /// So many units back.
    GiveBack(u64),
}

/// What a script found, before it took or gave back.
pub(super) trait Found: Copy {
    /// How many units there are in all.
    fn capacity(&self) -> u64;
    /// How many can be taken at once.
    fn room(&self) -> u64;
    /// How it is when so many are taken of them.
    fn taken(self, units: u64) -> Self;
    /// How it is when so many are given back.
    fn given_back(self, units: u64) -> Self;
    /// When so many can be taken: more than there is room for, and no more than there are in all.
    fn wait(&self, units: u64) -> Duration;
    /// When all can be taken.
    fn reset(&self) -> Duration;
}

impl Ask {
    /// How many units are asked for before anything is taken: of as many as there are, the first.
    pub(crate) fn units(self) -> u64 {
        match self {
            Self::Take(units) | Self::Look(units) => units,
            Self::TakeAtMost(units) => units.min(1),
            Self::GiveBack(_) => 0,
        }
    }

    /// The units, no more than make a difference, and the number that stands for what to do.
    pub(super) fn wire(self, capacity: i64) -> (i64, i64) {
        let at_most = |units: u64, most: i64| i64::try_from(units).unwrap_or(i64::MAX).min(most);
        match self {
            Self::Take(units) => (at_most(units, capacity + 1), 1),
            Self::TakeAtMost(units) => (at_most(units, capacity), 2),
            Self::Look(units) => (at_most(units, capacity + 1), 0),
            // More than the limit may be out, if it was lowered.
            Self::GiveBack(units) => (at_most(units, super::MAX as i64), -1),
        }
    }

    /// How many units the script took, and what is said of that.
    pub(super) fn answer<F: Found>(self, found: &F) -> (u64, Decision) {
        let allowed = |now: F| Decision::Allowed { remaining: now.room(), reset_after: now.reset() };
        match self {
            Self::Take(units) if units <= found.room() => (units, allowed(found.taken(units))),
            Self::Look(units) if units <= found.room() => (0, allowed(*found)),
            Self::TakeAtMost(units) if found.room() > 0 || units == 0 => {
                let granted = units.min(found.room());
                (granted, allowed(found.taken(granted)))
            }
            Self::GiveBack(units) => (0, allowed(found.given_back(units))),
            Self::TakeAtMost(_) => (0, denied(found, 1)),
            Self::Take(units) | Self::Look(units) => (0, denied(found, units)),
        }
    }
}

fn denied<F: Found>(found: &F, units: u64) -> Decision {
    let retry_after = (units <= found.capacity()).then(|| found.wait(units));
    Decision::Denied { remaining: found.room(), retry_after, reset_after: found.reset(), banned: false }
}

/// What every twin is given.
pub(super) struct Given {
    pub(super) limit: i64,
    units: i64,
    what: i64,
    pub(super) period: i64,
    pub(super) ttl: i64,
    pub(super) now: i64,
}

impl Given {
    pub(super) fn read(store: &TwinContext<'_>, args: &[Arg<'_>; 6]) -> Result<Self> {
        let &[limit, units, what, period, ttl, now] = args;
        let [limit, units, what, period, ttl] =
            [limit.to_int()?, units.to_int()?, what.to_int()?, period.to_int()?, ttl.to_int()?];
        let now = bucket::now(store, now)?;
        if period == 0 || [limit, units, period, ttl, now].iter().any(|number| !(0..=MOST).contains(number)) {
            return Err(Error::invalid_input("script", "argument is no number of a window"));
        }
        Ok(Self { limit, units, what, period, ttl, now })
    }

    /// How many units are taken where there is room for so many; negative if so many of those in use are given back.
    pub(super) fn moved(&self, room: i64, used: i64) -> i64 {
        match self.what {
            1 if self.units <= room => self.units,
            2 => self.units.min(room),
            -1 => -self.units.min(used),
            _ => 0,
        }
    }

    /// The units for which a wait is told, if there is no room for them now but will be.
    pub(super) fn wanted(&self, room: i64) -> Option<i64> {
        let wanted = if self.what == 2 { self.units.min(1) } else { self.units };
        (self.what >= 0 && wanted > room && wanted <= self.limit).then_some(wanted)
    }
}
