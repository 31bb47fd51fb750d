mod options;

pub use options::LeaseOptions;

use super::sets::{Rank, Sets};
use crate::Decision;
use std::{mem, time::Duration};
use tokio::time::Instant;

/// The units this process holds.
#[derive(Debug)]
pub(super) struct Leases {
    pub(super) options: LeaseOptions,
    processes: u64,
    sets: Sets<Lease>,
}

#[derive(Debug)]
struct Lease {
    units: u64,
    /// Until when they may be spent.
    until: Instant,
    /// What remained in the store when it was asked last, and when it was empty by that.
    remaining: u64,
    drained: Instant,
    /// When it was asked last, and what was spent since.
    asked: Instant,
    spent: u64,
    /// Somebody takes some.
    fetching: bool,
}

impl Lease {
    fn new(now: Instant) -> Self {
        Self { units: 0, until: now, remaining: 0, drained: now, asked: now, spent: 0, fetching: false }
    }

    fn pay(&mut self, n: u64, now: Instant) -> Option<Decision> {
        self.units = self.units.checked_sub(n)?;
        self.spent = self.spent.saturating_add(n);
        let remaining = self.remaining.saturating_add(self.units);
        let reset_after = if now < self.drained { self.drained.saturating_duration_since(now) } else { Duration::ZERO };
        Some(Decision::Allowed { remaining, reset_after })
    }
}

impl Rank for Lease {
    fn rank(&self) -> Instant {
        self.asked
    }
}

/// What to do about a check.
#[derive(Debug)]
pub(super) enum Spend {
    /// It is paid.
    Paid(Decision),
    /// To ask for what it takes.
    Ask,
    /// To ask for so many, more than it takes.
    Fetch(u64),
}

/// Units of ids to be given back.
pub(super) type Unused = Vec<(Box<str>, u64)>;

/// How long what is taken at a time should last.
const AHEAD: Duration = Duration::from_millis(10);

impl Leases {
    pub(super) fn new(options: LeaseOptions, processes: u32) -> Self {
        Self { options, processes: processes.into(), sets: Sets::new(options.ids) }
    }

    /// Pays for a check from what there is.
    pub(super) fn pay(&self, hash: u64, id: &str, n: u64, now: Instant) -> Option<Decision> {
        self.sets.with(hash, id, |lease| if now < lease.until { lease.pay(n, now) } else { None })?
    }

    /// Pays for a check if it can by now, and says what has to be given back.
    pub(super) fn spend(&self, hash: u64, id: &str, n: u64, now: Instant) -> (Spend, Unused) {
        let ((spend, stale), gone) = self.sets.upsert(
            hash,
            id,
            || Lease::new(now),
            |lease| {
                let stale = if now >= lease.until { mem::take(&mut lease.units) } else { 0 };
                if let Some(decision) = lease.pay(n, now) {
                    return (Spend::Paid(decision), stale);
                }
                lease.spent = lease.spent.saturating_add(n);
                if lease.fetching {
                    return (Spend::Ask, stale);
                }
                let units = self.ahead(lease, now);
                (lease.asked, lease.spent) = (now, n);
                if units <= n {
                    return (Spend::Ask, stale);
                }
                lease.fetching = true;
                (Spend::Fetch(units), stale)
            },
        );
        (spend, unused(id, stale, gone))
    }

    /// How many to take.
    fn ahead(&self, lease: &Lease, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(lease.asked).as_nanos().max(1);
        let rate = u128::from(lease.spent) * AHEAD.as_nanos() / elapsed;
        let share = lease.remaining / self.processes.saturating_mul(2);
        let twice = lease.spent.saturating_mul(2);
        self.options.units.min(share).min(twice).min(u64::try_from(rate).unwrap_or(u64::MAX))
    }

    /// What the store said, and what was taken beyond the check that asked.
    pub(super) fn learn(&self, hash: u64, id: &str, decision: &Decision, taken: u64, sent: Instant) -> Unused {
        let now = Instant::now();
        let learn = |lease: &mut Lease| {
            lease.remaining = decision.remaining();
            lease.drained = now + decision.reset_after().min(Duration::from_secs(1 << 32));
            if taken == 0 {
                return 0;
            }
            let until = sent + self.options.time;
            lease.until = if lease.units > 0 { lease.until.min(until) } else { until };
            let room = self.options.units.saturating_sub(lease.units).min(taken);
            lease.units += room;
            taken - room
        };
        if taken == 0 {
            self.sets.with(hash, id, learn);
            return Unused::new();
        }
        let (rest, gone) = self.sets.upsert(hash, id, || Lease::new(now), learn);
        unused(id, rest, gone)
    }

    /// Nobody takes any for this id now.
    pub(super) fn fetched(&self, hash: u64, id: &str) {
        self.sets.with(hash, id, |lease| lease.fetching = false);
    }

    /// Throws away what is held of an id.
    pub(super) fn forget(&self, hash: u64, id: &str) {
        self.sets.with(hash, id, |lease| lease.units = 0);
    }

    /// What may be spent no longer; and whether any id is left. Those that nobody asks for are forgotten.
    pub(super) fn sweep(&self, now: Instant) -> (Unused, bool) {
        let (mut stale, mut any) = (Unused::new(), false);
        self.sets.retain(|id, lease| {
            if lease.units > 0 && now >= lease.until {
                stale.push((id.into(), mem::take(&mut lease.units)));
            }
            let idle = now.saturating_duration_since(lease.asked) > self.options.time.max(Duration::from_secs(1));
            let stays = lease.units > 0 || lease.fetching || !idle;
            any |= stays;
            stays
        });
        (stale, any)
    }

    /// Whether there is any id.
    pub(super) fn any(&self) -> bool {
        let mut any = false;
        self.sets.retain(|_, _| {
            any = true;
            true
        });
        any
    }

    /// All there are.
    pub(super) fn take_all(&self) -> Unused {
        let mut all = Unused::new();
        self.sets.retain(|id, lease| {
            if lease.units > 0 {
                all.push((id.into(), mem::take(&mut lease.units)));
            }
            true
        });
        all
    }
}

fn unused(id: &str, units: u64, gone: Option<(Box<str>, Lease)>) -> Unused {
    if units == 0 && gone.is_none() {
        return Unused::new();
    }
    let own = (units > 0).then(|| (id.into(), units));
    let other = gone.filter(|(_, lease)| lease.units > 0).map(|(id, lease)| (id, lease.units));
    own.into_iter().chain(other).collect()
}
