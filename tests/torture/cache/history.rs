use super::{KEYS, Kind, LOAD_TIMEOUT, STALE, TTL, event::Event};
use crate::{crew::Life, fault::Struck, moment::Micros};

/// How long it may take until a process that keeps values has heard of a change, when all is well.
const NEAR: Micros = 100_000;
/// When links are cut, and come again.
const CUT: Micros = 300_000;
/// And with what else befalls it: a link that is silent is found within a heartbeat and a deadline.
const ECHO: Micros = 1_500_000;
/// What a master acknowledged so shortly before it is replaced may be lost.
const LAG: Micros = 1_000_000;

/// Everything that was told, and what is needed to judge it.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) reads: Vec<Read>,
    pub(crate) told: Vec<Told>,
    pub(crate) failed: u64,
    pub(crate) hung: u64,
    pub(crate) near_hits: u64,
    pub(crate) lives: Vec<Life>,
    /// When something was broken, or mended.
    pub(crate) faults: Vec<Struck>,
    /// Whether what was acknowledged then may be lost.
    pub(crate) forgets: bool,
    /// For how long this machine lets a process wait that has something to do.
    pub(crate) stall: Micros,
}

#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) worker: usize,
    pub(crate) key: u8,
    pub(crate) kind: Kind,
    pub(crate) began: Micros,
    pub(crate) value: u64,
}

#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) key: u8,
    pub(crate) value: u64,
    pub(crate) at: Micros,
}

impl History {
    pub(crate) fn hear(&mut self, worker: usize, event: Event) {
        match event {
            Event::Read { key, kind, began, value } => self.reads.push(Read { worker, key, kind, began, value }),
            Event::Told { key, value, at } => self.told.push(Told { key, value, at }),
            Event::Failed => self.failed += 1,
            Event::Hung => self.hung += 1,
            Event::NearHits(count) => self.near_hits += count,
        }
    }

    pub(crate) fn breaches(&self) -> Vec<String> {
        let mut breaches = Vec::new();
        for key in 0..KEYS {
            let since = self.due(key);
            for read in self.reads.iter().filter(|read| read.key == key) {
                let at = since.partition_point(|(at, _)| *at <= read.began - self.patience(read));
                let due = at.checked_sub(1).map_or(0, |at| since[at].1);
                if read.value < due {
                    let told = self.told.iter().filter(|told| told.key == key && told.value > read.value);
                    let late = read.began - told.map(|told| told.at).min().unwrap_or(read.began);
                    let Read { worker, kind, value, began, .. } = read;
                    breaches.push(format!(
                        "key {key}: {worker} reads {value} by {kind:?} at {began}, {} ms after it was invalidated",
                        late / 1000
                    ));
                }
            }
        }
        if self.hung > 0 {
            breaches.push(format!("{} reads do not end", self.hung));
        }
        breaches
    }

    /// The largest value of a key that was told of, by the time from which on it is due.
    fn due(&self, key: u8) -> Vec<(Micros, u64)> {
        let lost =
            |at| self.forgets && self.faults.iter().any(|struck| struck.since - LAG < at && at < struck.until + LAG);
        let due = |told: &Told| (told.at + if lost(told.at) { longest() } else { 0 }, told.value);
        let mut due: Vec<_> = self.told.iter().filter(|told| told.key == key).map(due).collect();
        due.sort_unstable();
        let mut largest = 0;
        for (_, value) in &mut due {
            largest = largest.max(*value);
            *value = largest;
        }
        due
    }

    /// How much older than it begins a read may be.
    fn patience(&self, read: &Read) -> Micros {
        if read.kind == Kind::Store {
            return 0;
        }
        let after = |struck: &&Struck| struck.since < read.began && read.began < struck.until + ECHO;
        let disturbed =
            self.faults.iter().filter(after).map(|struck| if struck.fault.is_noticed() { CUT } else { ECHO });
        let still = self.lives.get(read.worker).map_or(0, |life| life.stood_still(read.began - ECHO, read.began));
        self.stall + still + disturbed.max().unwrap_or(NEAR)
    }
}

/// For how long a value may be read that was loaded before an invalidation which was lost.
fn longest() -> Micros {
    (TTL + STALE + LOAD_TIMEOUT).as_micros() as Micros
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;

    const BEGIN: Micros = 60_000_000;

    fn breaches(kind: Kind, value: u64, after: Micros, faults: Vec<Struck>, forgets: bool) -> usize {
        let mut history = History { faults, forgets, ..History::default() };
        history.hear(0, Event::Told { key: 1, value: 5, at: BEGIN });
        history.hear(0, Event::Told { key: 1, value: 4, at: BEGIN + 1 });
        history.hear(0, Event::Read { key: 1, kind, began: BEGIN + after, value });
        history.breaches().len()
    }

    fn struck(fault: Fault) -> Vec<Struck> {
        vec![Struck { fault, since: BEGIN - 10, until: BEGIN + 10 }]
    }

    #[test]
    fn a_read_of_what_was_invalidated_before_it_is_found() {
        assert_eq!(breaches(Kind::Store, 5, 2, Vec::new(), false), 0);
        assert_eq!(breaches(Kind::Store, 4, -1, Vec::new(), false), 0);
        assert_eq!(breaches(Kind::Store, 4, 2, Vec::new(), false), 1);
    }

    #[test]
    fn what_is_near_may_take_its_time_and_no_longer() {
        let fault = || struck(Fault::Silence);
        assert_eq!(breaches(Kind::Near, 4, NEAR - 1, Vec::new(), false), 0);
        assert_eq!(breaches(Kind::Near, 4, NEAR + 1, Vec::new(), false), 1);
        assert_eq!(breaches(Kind::Tracked, 4, ECHO - 1, fault(), false), 0);
        assert_eq!(breaches(Kind::Tracked, 4, ECHO + 11, fault(), false), 1);
        assert_eq!(breaches(Kind::Near, 4, CUT - 1, struck(Fault::CutSubscribers), false), 0);
        assert_eq!(breaches(Kind::Near, 4, CUT + 1, struck(Fault::CutSubscribers), false), 1);
    }

    #[test]
    fn a_failover_may_undo_what_was_told_until_the_entry_ends() {
        let fault = || struck(Fault::FailOver);
        assert_eq!(breaches(Kind::Store, 4, longest() - 1, fault(), true), 0);
        assert_eq!(breaches(Kind::Store, 4, longest() + 1, fault(), true), 1);
        assert_eq!(breaches(Kind::Store, 4, longest() - 1, fault(), false), 1);
    }

    #[test]
    fn a_read_that_does_not_end_is_found() {
        let mut history = History::default();
        history.hear(0, Event::Hung);
        assert_eq!(history.breaches().len(), 1);
    }
}
