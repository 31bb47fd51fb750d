use super::sets::{Rank, Sets};
use crate::{Decision, gcra::Gcra};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tokio::time::Instant;

/// What the store denied and cannot admit yet.
#[derive(Debug)]
pub(super) struct Denied {
    sets: Sets<Denial>,
    /// How often something was given back or reset: a denial from before says nothing.
    epoch: AtomicU64,
}

/// A question, and when it was asked.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) sent: Instant,
    epoch: u64,
}

impl Asked {
    /// Where nobody remembers denials.
    pub(super) fn at(sent: Instant) -> Self {
        Self { sent, epoch: 0 }
    }
}

#[derive(Clone, Copy)]
struct Denial {
    units: u64,
    /// In the bucket when it was denied, ticks.
    room: i64,
    answered: Instant,
    /// Until when it is denied for sure.
    until: Instant,
}

impl Rank for Denial {
    fn rank(&self) -> Instant {
        self.until
    }
}

impl Denied {
    pub(super) fn new(entries: usize) -> Self {
        Self { sets: Sets::new(entries), epoch: AtomicU64::new(0) }
    }

    pub(super) fn asked(&self, sent: Instant) -> Asked {
        Asked { sent, epoch: self.epoch.load(Ordering::Acquire) }
    }

    /// Remembers that so many units were denied with this room in the bucket.
    pub(super) fn record(&self, hash: u64, id: &str, units: u64, room: i64, asked: Asked, gcra: &Gcra) {
        let Some(wait) = gcra.preview(units, room).retry_after() else { return };
        let denial =
            Denial { units, room, answered: Instant::now(), until: asked.sent + wait.saturating_sub(drift(wait)) };
        self.sets.upsert(
            hash,
            id,
            || Denial { until: asked.sent, ..denial },
            |known| {
                // Looked at under the lock that forgetting takes: it either sees the change, or is undone by it.
                let current = self.epoch.load(Ordering::Acquire) == asked.epoch;
                let tells_more = known.until <= asked.sent || units <= known.units;
                if current && tells_more {
                    *known = denial;
                }
            },
        );
    }

    /// The denial of so many units that the store would give as well.
    pub(super) fn find(&self, hash: u64, id: &str, units: u64, now: Instant, gcra: &Gcra) -> Option<Decision> {
        let known =
            |known: &mut Denial| (units >= known.units && now < known.until).then_some((known.room, known.answered));
        let (room, answered) = self.sets.with(hash, id, known)??;
        // What has drained since the answer at least: nobody is told to come back too early.
        let drained = now.saturating_duration_since(answered).as_micros() as i64;
        let decision = gcra.preview(units, room.saturating_add(drained.saturating_mul(gcra.per_micro)));
        (!decision.is_allowed()).then_some(decision)
    }

    /// Forgets an id for which more may be admitted from now on than was said.
    pub(super) fn forget(&self, hash: u64, id: &str) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.sets.remove(hash, id);
    }
}

/// The server's clock may run faster than ours by this much of a time.
fn drift(time: Duration) -> Duration {
    time / 100 + Duration::from_micros(2)
}
