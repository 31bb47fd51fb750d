use crate::{
    call::{Caller, Outcome, Run, lock},
    window::{Acknowledged, Suspicion, Tick, Windows},
};
use kv_core::{Arg, KvStore, Reply, Result, Script, ScriptStore, TwinContext};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

/// What was done to each counter.
#[derive(Debug, Default)]
pub(crate) struct Counters(Mutex<BTreeMap<String, Tally>>);

#[derive(Debug, Default)]
struct Tally {
    acknowledged: Acknowledged,
    /// May have been executed.
    unsure: u64,
}

/// Counts and gives back what it was given: a reply of somebody else's would show.
static COUNT: Script = Script::new("chaos/count", "redis.call('INCRBY', KEYS[1], 1) return ARGV[1]", count);

fn count(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    store.incr_by(keys[0], 1)?;
    Ok(Reply::Bytes(args[0].to_bytes().into_owned().into()))
}

const SHARED: u64 = 4;

impl Counters {
    /// Adds to a counter of its own, and to those that all add to.
    pub(crate) async fn add(self: Arc<Self>, mut caller: Caller, own: u64) {
        let store = caller.store.clone();
        while caller.goes_on() {
            let key = key(&mut caller, own);
            let outcome = caller.call("incr_by", store.incr_by(&key, 1)).await;
            self.ended(&key, &outcome, caller.run.clock.now());
            caller.think().await;
        }
    }

    /// The same by a script.
    pub(crate) async fn run(self: Arc<Self>, mut caller: Caller, own: u64) {
        let store = caller.store.clone();
        while caller.goes_on() {
            let key = key(&mut caller, own);
            let token = caller.dice.next().to_string();
            let args = [Arg::Bytes(token.as_bytes())];
            let outcome = caller.call("script", store.run(&COUNT, &[&key], &args)).await;
            self.ended(&key, &outcome, caller.run.clock.now());
            if let Outcome::Done(reply) = outcome {
                caller.run.suspect(echoed(&token, &reply));
            }
            caller.think().await;
        }
    }

    fn ended<T>(&self, key: &str, outcome: &Outcome<T>, now: Tick) {
        let mut tallies = lock(&self.0);
        let tally = tallies.entry(key.to_owned()).or_default();
        match outcome {
            Outcome::Done(_) => tally.acknowledged.add(now),
            Outcome::No => {}
            Outcome::Maybe | Outcome::Dropped => tally.unsure += 1,
        }
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        lock(&self.0).keys().cloned().collect()
    }

    /// How many increments have to be there, of how many that were acknowledged.
    pub(crate) fn checked(&self, losses: &Windows) -> (u64, u64) {
        let tallies = lock(&self.0);
        let sums = tallies.values().map(|tally| (tally.acknowledged.outside(losses), tally.acknowledged.all()));
        sums.fold((0, 0), |(outside, all), (more, most)| (outside + more, all + most))
    }

    /// Checks the value of a counter at the end.
    pub(crate) fn judge(&self, key: &str, value: u64, run: &Run) -> Option<String> {
        lock(&self.0).get(key).and_then(|tally| tally.judge(key, value, &run.losses))
    }
}

impl Tally {
    fn judge(&self, key: &str, value: u64, losses: &Windows) -> Option<String> {
        let (least, all) = (self.acknowledged.outside(losses), self.acknowledged.all());
        let most = all + self.unsure;
        if value < least {
            return Some(format!("{key} is {value}: {} of {all} acknowledged increments are lost", least - value));
        }
        (value > most).then(|| format!("{key} is {value}: executed {} times more often than called", value - most))
    }
}

fn key(caller: &mut Caller, own: u64) -> String {
    if caller.dice.one_in(4) {
        format!("counter:shared:{}", caller.dice.below(SHARED))
    } else {
        format!("counter:own:{own}")
    }
}

fn echoed(token: &str, reply: &Reply) -> Option<Suspicion> {
    let own = matches!(reply, Reply::Bytes(bytes) if *bytes == token);
    (!own).then(|| Suspicion::certain("a script's reply belongs to another request".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_counter_is_between_what_was_acknowledged_and_what_was_called() {
        let counters = Counters::default();
        for (outcome, tick) in [(Outcome::Done(()), 10), (Outcome::Done(()), 50), (Outcome::No, 51)] {
            counters.ended("a", &outcome, tick);
        }
        counters.ended("a", &Outcome::<()>::Maybe, 60);
        counters.ended("a", &Outcome::<()>::Dropped, 61);
        let run = Run::new();
        let judge = |value| counters.judge("a", value, &run);
        assert!((2..=4).all(|value| judge(value).is_none()));
        assert_eq!(judge(1).unwrap(), "a is 1: 1 of 2 acknowledged increments are lost");
        assert_eq!(judge(5).unwrap(), "a is 5: executed 1 times more often than called");
        run.losses.open(51, Duration::from_millis(100));
        assert!(judge(1).is_none() && judge(0).is_some(), "what was not replicated may be lost");
    }

    #[test]
    fn a_reply_that_is_not_ones_own_shows() {
        assert_eq!(echoed("7", &Reply::Bytes("7".into())), None);
        assert!(echoed("7", &Reply::Bytes("8".into())).is_some() && echoed("7", &Reply::Int(7)).is_some());
    }
}
