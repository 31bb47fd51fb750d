use super::{
    Terms,
    ask::{Found, Given},
    numbers,
};
use kv_core::{Arg, Error, Reply, Result, Script, TwinContext};
use std::time::Duration;

pub(crate) static LOG: Script = Script::new("redis-ratelimit/log", include_str!("../../lua/log.lua"), log);

/// All that was admitted within a period.
#[derive(Clone, Copy, Debug)]
pub(super) struct Log {
    pub(super) limit: i64,
    pub(super) period: i64,
}

#[derive(Clone, Copy)]
pub(super) struct FoundLog {
    log: Log,
    used: u64,
    /// Microseconds until the newest is over.
    newest: u64,
    /// Microseconds until there is room for what was asked for.
    wait: u64,
}

/// So many units at the most: a log of 2.4 MB.
const MOST: i64 = 100_000;

impl Log {
    pub(super) fn new(terms: &Terms) -> Result<Self> {
        if terms.limit > MOST {
            return Err(Error::invalid_config("ratelimit", "limit of a log is larger than 100,000"));
        }
        Ok(Self { limit: terms.limit, period: terms.period })
    }

    pub(super) fn found(self, [used, newest, wait]: [u64; 3]) -> FoundLog {
        let period = self.period as u64;
        FoundLog { log: self, used, newest: newest.min(period), wait: wait.min(period) }
    }
}

impl Found for FoundLog {
    fn capacity(&self) -> u64 {
        self.log.limit as u64
    }

    fn room(&self) -> u64 {
        self.capacity().saturating_sub(self.used)
    }

    fn taken(self, units: u64) -> Self {
        let newest = if units > 0 { self.log.period as u64 } else { self.newest };
        Self { used: self.used + units, newest, ..self }
    }

    fn given_back(self, units: u64) -> Self {
        Self { used: self.used.saturating_sub(units), ..self }
    }

    fn wait(&self, _: u64) -> Duration {
        Duration::from_micros(self.wait)
    }

    fn reset(&self) -> Duration {
        Duration::from_micros(self.newest)
    }
}

/// A record: the microsecond, and the units up to and with it, both with the high byte first.
const RECORD: usize = 12;
const NAME: &[u8; 7] = b"sliding";
/// Sums of units start again from zero there.
const TURN: i64 = 1 << 40;

/// The records of a log, the first of which has the name in place of a time and tells the units before the others.
struct Records(Vec<u8>);

impl Records {
    fn load(store: &mut TwinContext<'_>, key: &str) -> Result<Self> {
        let bytes = store.get(key)?.unwrap_or_default();
        let is_log = bytes.starts_with(NAME) && bytes.len() >= 2 * RECORD && bytes.len() % RECORD == 0;
        if is_log || bytes.is_empty() { Ok(Self(bytes.into())) } else { Err(numbers::corrupt()) }
    }

    /// How many there are after the first.
    fn count(&self) -> usize {
        (self.0.len() / RECORD).saturating_sub(1)
    }

    fn get(&self, at: usize) -> (i64, i64) {
        let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | i64::from(*byte));
        let record = self.0.chunks_exact(RECORD).nth(at).unwrap_or_default();
        let (time, units) = record.split_at_checked(NAME.len()).unwrap_or_default();
        (number(time), number(units))
    }

    /// The units up to a record, of those that are there.
    fn past(&self, units: i64) -> i64 {
        (units - self.get(0).1).rem_euclid(TURN)
    }

    /// The first record of which it is true, as it is of all later ones; one beyond the last if there is none.
    fn first(&self, is_true: impl Fn(i64, i64) -> bool) -> usize {
        let (mut low, mut high) = (1, self.count() + 1);
        while low < high {
            let middle = (low + high) / 2;
            let (time, units) = self.get(middle);
            if is_true(time, units) { high = middle } else { low = middle + 1 }
        }
        low
    }

    /// Ends with this record after those before a place.
    fn end(&mut self, at: usize, time: i64, units: i64) {
        self.0.truncate(at * RECORD);
        self.0.extend(time.to_be_bytes().into_iter().skip(1));
        self.0.extend(units.rem_euclid(TURN).to_be_bytes().into_iter().skip(3));
    }

    /// Drops those before a place, which brought the units so far.
    fn drop_before(&mut self, at: usize, units: i64) {
        let rest = self.0.split_off((at * RECORD).min(self.0.len()));
        self.0 = NAME.to_vec();
        self.0.extend(units.to_be_bytes().into_iter().skip(3));
        self.0.extend(rest);
    }
}

fn log(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[key], Ok(given)) = (keys, args.try_into()) else { return Err(Error::wrong_arity()) };
    let given = Given::read(store, given)?;
    let (now, limit) = (given.now, given.limit);
    let mut log = Records::load(store, key)?;
    let (newest, total) = if log.count() > 0 { log.get(log.count()) } else { (0, 0) };
    let is_ahead = newest > now;
    if is_ahead {
        // The clock went back: what lies ahead happens now.
        log.end(log.first(|time, _| time > now), now, total);
        store.set(key, log.0.clone(), Some(given.ttl));
    }
    let live = log.first(|time, _| time > now - given.period);
    let before = log.get(live - 1).1;
    let used = (total - before).rem_euclid(TURN);
    let room = (limit - used).max(0);
    let left = |time: i64| time + given.period - now;
    let wait = given.wanted(room).map_or(0, |wanted| {
        let free = log.past(before) + used + wanted - limit;
        left(log.get(log.first(|_, units| log.past(units) >= free)).0)
    });
    let moved = given.moved(room, used);
    if moved > 0 {
        if 2 * (live - 1) > log.count() || log.count() == 0 {
            log.drop_before(live, before);
        }
        log.end(log.count() + 1, now, total + moved);
        store.set(key, log.0, Some(given.ttl));
    } else if moved < 0 && used + moved > 0 {
        let kept = log.past(total) + moved;
        let at = log.first(|_, units| log.past(units) >= kept);
        log.end(at, log.get(at).0, total + moved);
        store.set(key, log.0, Some(given.ttl));
    } else if moved < 0 {
        store.delete(key);
    }
    let newest = if used > 0 { left(newest.min(now)) } else { 0 };
    Ok(Reply::Array([used, newest, wait].map(Reply::Int).into()))
}
