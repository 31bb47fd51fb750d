use super::sets::{Rank, Sets};
use crate::Decision;
use std::{mem, time::Duration};
use tokio::time::Instant;

/// How many units are taken ahead, and for how long.
///
/// So many as a process spends in 10 ms, no more than [`units`](Self::units), twice what it spent since it asked last, and
/// `remaining / 2` over all [processes](crate::FrontOptions::processes). So an id that is asked for less than some 200 times a second, and
/// the last units of a quota, are not leased: they stay exact.
///
/// Over `n` processes no more than `burst + n * units + limit * t / period` are admitted in any span `t`: the long-run rate is that of
/// the quota. What a process holds and does not spend is lacking elsewhere until it gives it back: after [`time`](Self::time), or when
/// the limiter is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseOptions {
    /// How many units of an id to hold at most; at least 2. Default: 100.
    pub units: u64,
    /// How long after they were asked for units may be spent; 1 ms to 60 s. Default: 200 ms.
    pub time: Duration,
    /// For how many ids, up to 2^24; beyond that whoever was asked for longest ago gives back what it has. Default: 10,000.
    pub ids: usize,
}

impl Default for LeaseOptions {
    fn default() -> Self {
        Self { units: 100, time: Duration::from_millis(200), ids: 10_000 }
    }
}

impl LeaseOptions {
    /// Sets [`units`](Self::units).
    #[must_use]
    pub fn units(mut self, units: u64) -> Self {
        self.units = units;
        self
    }

    /// Sets [`time`](Self::time).
    #[must_use]
    pub fn time(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// Sets [`ids`](Self::ids).
    #[must_use]
    pub fn ids(mut self, ids: usize) -> Self {
        self.ids = ids;
        self
    }
}

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

    /// Pays for a check if it can, and says what has to be given back.
    pub(super) fn spend(&self, hash: u64, id: &str, n: u64, now: Instant) -> (Spend, Unused) {
        let ((spend, stale), gone) = self.sets.upsert(
            hash,
            id,
            || Lease::new(now),
            |lease| {
                let stale = if now >= lease.until { mem::take(&mut lease.units) } else { 0 };
                lease.spent = lease.spent.saturating_add(n);
                if lease.units >= n {
                    lease.units -= n;
                    let remaining = lease.remaining.saturating_add(lease.units);
                    let reset_after = lease.drained.saturating_duration_since(now);
                    return (Spend::Paid(Decision::Allowed { remaining, reset_after }), stale);
                }
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
