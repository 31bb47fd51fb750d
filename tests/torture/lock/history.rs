use super::ask::Ask;
use crate::{crew::Life, moment::Micros};
use std::collections::BTreeMap;

/// By the number of the process, and that of the acquisition in it.
pub(crate) type Asks = BTreeMap<(usize, u64), Ask>;

/// Everything that was told, and what is needed to judge it.
#[derive(Debug)]
pub(crate) struct History {
    pub(crate) asks: Asks,
    pub(crate) lives: Vec<Life>,
    /// When something was broken, or mended.
    pub(crate) faults: Vec<(Micros, Micros)>,
    /// For how long this machine lets a process wait that has something to do.
    pub(crate) stall: Micros,
    /// What the registers hold at the end, by name.
    pub(crate) registers: Vec<i64>,
}

/// Nobody may wait longer beyond a deadline.
const GRACE: Micros = 1_000_000;
/// Two that ask within this time may come to the server in either order.
const RACE: Micros = 100_000;
/// What is told at one moment may be told in either order.
const MOMENT: Micros = 20_000;

impl History {
    pub(crate) fn breaches(&self) -> Vec<String> {
        let mut breaches: Vec<String> = self.asks.values().filter_map(|ask| self.judge(ask)).collect();
        for name in 0..self.registers.len() {
            let asks: Vec<&Ask> = self.asks.values().filter(|ask| usize::from(ask.name) == name).collect();
            breaches.extend(overlaps(&asks));
            breaches.extend(register(&asks, self.registers[name]));
            breaches.extend(self.overtaken(&asks));
        }
        breaches
    }

    /// Whether it ended in time, and was what it seemed to be.
    fn judge(&self, ask: &Ask) -> Option<String> {
        let life = &self.lives[ask.worker];
        let ended = ask.ended.unwrap_or(life.ended);
        let late = ended - ask.asked - life.stood_still(ask.asked, ended) - ask.wait;
        if late > GRACE + self.stall {
            return Some(format!("a wait of {} ms ends {} ms late: {ask:?}", ask.wait / 1000, late / 1000));
        }
        let what = match (ask.missed, ask.refused) {
            (true, _) => "was not the holder's when it gave it back",
            (_, true) => "was not enough for the register",
            (false, false) => return None,
        };
        Some(format!("name {}: a valid lock with {:?} {what}", ask.name, ask.granted))
    }

    /// Who was served before others that had come earlier.
    fn overtaken(&self, asks: &[&Ask]) -> Vec<String> {
        let mut breaches = Vec::new();
        let mut waits: Vec<&&Ask> = asks.iter().filter(|ask| ask.wait > 0).collect();
        waits.sort_by_key(|ask| ask.asked);
        for (at, ask) in waits.iter().enumerate() {
            let Some((served, _)) = ask.granted else { continue };
            // Whoever asked so long before has given up.
            let earlier = waits[..at].iter().rev().take_while(|other| ask.asked - other.asked < 10 * GRACE);
            for other in earlier.filter(|other| self.waited_until(other) > served + MOMENT + self.stall) {
                let same = (other.worker, other.manager) == (ask.worker, ask.manager);
                let alone = ask.manager > 0 && other.manager > 0;
                let calm = !self.faults.iter().any(|(from, to)| *from < served && *to > other.asked);
                if same || (alone && calm && ask.asked - other.asked > RACE + self.stall) {
                    let whose = if same { "of the same manager" } else { "of another manager" };
                    breaches.push(format!("name {}: served at {served} before one {whose} that came first", ask.name));
                }
            }
        }
        breaches
    }

    fn waited_until(&self, ask: &Ask) -> Micros {
        let life = &self.lives[ask.worker];
        let ended = ask.ended.unwrap_or(ask.asked);
        ended - life.stood_still(ask.asked, ended)
    }

    /// How many were served after one of the same manager.
    pub(crate) fn kept(&self) -> usize {
        let mut by_name: BTreeMap<u8, Vec<&Ask>> = BTreeMap::new();
        for ask in self.asks.values().filter(|ask| ask.granted.is_some()) {
            by_name.entry(ask.name).or_default().push(ask);
        }
        let mut kept = 0;
        for asks in by_name.values_mut() {
            asks.sort_by_key(|ask| ask.granted);
            let same = |pair: &&[&Ask]| (pair[0].worker, pair[0].manager) == (pair[1].worker, pair[1].manager);
            kept += asks.windows(2).filter(same).count();
        }
        kept
    }
}

/// Who held the lock validly while somebody else did, or with a smaller fencing token than before.
fn overlaps(asks: &[&Ask]) -> Vec<String> {
    let mut breaches = Vec::new();
    let mut valid: Vec<_> =
        asks.iter().filter_map(|ask| Some((ask.valid()?, ask.granted?.1, ask.worker, ask.name))).collect();
    valid.sort_unstable();
    for pair in valid.windows(2) {
        let [((_, until), before, one, name), ((from, _), fence, other, _)] = [pair[0], pair[1]];
        if from < until {
            let both = until - from;
            breaches.push(format!("name {name}: {one} with {before} and {other} with {fence} hold it for {both} us"));
        }
        if fence <= before {
            breaches.push(format!("name {name}: {other} holds it with {fence}, after {one} with {before}"));
        }
    }
    breaches
}

/// Whether a register has all that was written to it.
fn register(asks: &[&Ask], value: i64) -> Vec<String> {
    let mut breaches = Vec::new();
    let mut wrote: Vec<(i64, i64)> =
        asks.iter().flat_map(|ask| ask.wrote.iter().filter_map(|value| Some((*value, ask.granted?.1)))).collect();
    wrote.sort_unstable();
    for pair in wrote.windows(2) {
        if pair[0].0 == pair[1].0 {
            breaches.push(format!("the {}th update is lost", pair[0].0));
        }
        if pair[0].1 > pair[1].1 {
            breaches.push(format!("{} is written with {}, after one with {}", pair[1].0, pair[1].1, pair[0].1));
        }
    }
    let maybe: u64 = asks.iter().map(|ask| ask.maybe_wrote()).sum();
    let sure = wrote.len() as i64;
    if value < sure || value > sure + maybe as i64 {
        breaches.push(format!("a register holds {value} after {sure} updates, and {maybe} more perhaps"));
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(worker: usize, fence: i64, from: Micros, to: Micros) -> Ask {
        let granted = Some((from, fence));
        Ask { worker, asked: from - 1, wait: 1, granted, ended: Some(from), valid_until: to, ..Ask::default() }
    }

    fn breaches(asks: Vec<Ask>, value: i64) -> Vec<String> {
        let asks = asks.into_iter().enumerate().map(|(at, ask)| ((ask.worker, at as u64), ask)).collect();
        let lives = vec![Life { ended: 10 * GRACE, ..Life::default() }; 2];
        History { asks, lives, faults: Vec::new(), stall: 0, registers: vec![value] }.breaches()
    }

    #[test]
    fn two_holders_and_smaller_numbers_are_found() {
        assert!(breaches(vec![held(0, 1, 10, 20), held(1, 2, 20, 30)], 0).is_empty());
        assert!(breaches(vec![held(0, 1, 10, 21), held(1, 2, 20, 30)], 0)[0].contains("hold it for 1 us"));
        assert!(breaches(vec![held(0, 2, 10, 20), held(1, 2, 20, 30)], 0)[0].contains("holds it with 2, after"));
        let released = Ask { releasing: Some(15), ..held(0, 1, 10, 40) };
        assert!(breaches(vec![released, held(1, 2, 20, 30)], 0).is_empty());
    }

    #[test]
    fn lost_updates_are_found() {
        let wrote = |fence, value| Ask { wrote: vec![value], ..held(0, fence, 10 * fence, 10 * fence + 1) };
        assert!(breaches(vec![wrote(1, 1), wrote(2, 2)], 2).is_empty());
        assert!(breaches(vec![wrote(1, 1), wrote(2, 1)], 2)[0].contains("is lost"));
        assert!(breaches(vec![wrote(1, 2), wrote(2, 1)], 2)[0].contains("is written with 1, after"));
        assert!(breaches(vec![wrote(1, 1)], 2)[0].contains("holds 2 after 1 updates"));
    }

    #[test]
    fn waits_that_hang_and_waiters_that_overtake_are_found() {
        let hangs = Ask { asked: 1, wait: 1, ..Ask::default() };
        assert!(breaches(vec![hangs], 0)[0].contains("ends 9999 ms late"));
        let first = Ask { asked: 1, wait: GRACE, manager: 3, ended: Some(GRACE), ..Ask::default() };
        let second = Ask { asked: 200_000, manager: 4, ..held(1, 1, 300_000, 300_001) };
        assert!(breaches(vec![first, second], 0)[0].contains("of another manager"));
    }
}
