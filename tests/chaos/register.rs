use crate::{
    call::{Caller, Outcome},
    window::{Suspicion, Tick},
};
use kv_core::{KvStore, SetOptions};
use std::collections::{BTreeMap, BTreeSet};

/// A key that one worker alone writes, each number once and in order.
#[derive(Debug)]
pub(crate) struct Register {
    key: String,
    written: u64,
    /// The highest number acknowledged within a tick.
    acknowledged: BTreeMap<Tick, u64>,
    last: u64,
    /// They may be executed late, even after one that was acknowledged.
    unsure: BTreeSet<u64>,
}

impl Register {
    pub(crate) fn new(own: u64) -> Self {
        let (acknowledged, unsure) = Default::default();
        Self { key: format!("register:{own}"), written: 0, acknowledged, last: 0, unsure }
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Writes and reads until the end.
    pub(crate) async fn write(mut self, mut caller: Caller) -> Self {
        let (store, key) = (caller.store.clone(), self.key.clone());
        while caller.goes_on() {
            if caller.dice.one_in(3) {
                if let Outcome::Done(value) = caller.call("get", store.get(&key)).await {
                    caller.run.suspect(self.judge(value.as_deref()));
                }
            } else {
                self.written += 1;
                let number = self.written.to_string();
                let set = store.set(&key, number.as_bytes(), SetOptions::default());
                let outcome = caller.call("set", set).await;
                self.ended(&outcome, caller.run.clock.now());
            }
            caller.think().await;
        }
        self
    }

    fn ended<T>(&mut self, outcome: &Outcome<T>, now: Tick) {
        match outcome {
            Outcome::Done(_) => {
                self.last = self.written;
                self.acknowledged.insert(now, self.written);
            }
            Outcome::No => {}
            Outcome::Maybe | Outcome::Dropped => drop(self.unsure.insert(self.written)),
        }
    }

    /// Checks what was read: the last acknowledged number, or one whose writing may have come later.
    pub(crate) fn judge(&self, value: Option<&[u8]>) -> Option<Suspicion> {
        let number = match value {
            None => Some(0),
            Some(value) => std::str::from_utf8(value).ok().and_then(|text| text.parse::<u64>().ok()),
        };
        let Some(number) = number.filter(|number| *number <= self.written) else {
            return Some(Suspicion::certain(format!("{} holds what nobody wrote", self.key)));
        };
        if number == self.last || self.unsure.contains(&number) {
            return None;
        }
        let lost = self.acknowledged.iter().filter(|(_, acknowledged)| **acknowledged > number);
        let ticks = lost.map(|(tick, _)| *tick).collect();
        Some(Suspicion { ticks, what: format!("{} is {number}, {} was acknowledged", self.key, self.last) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acknowledged_write_is_there() {
        let mut register = Register::new(1);
        for (outcome, now) in
            [(Outcome::Done(()), 10), (Outcome::Maybe, 20), (Outcome::Done(()), 30), (Outcome::Done(()), 40)]
        {
            register.written += 1;
            register.ended(&outcome, now);
        }
        assert_eq!(register.judge(Some(b"4")), None);
        assert_eq!(register.judge(Some(b"2")), None, "executed late");
        let lost = register.judge(Some(b"3")).unwrap();
        assert_eq!((lost.ticks, lost.what.as_str()), (vec![40], "register:1 is 3, 4 was acknowledged"));
        assert_eq!(register.judge(Some(b"1")).unwrap().ticks, [30, 40]);
        assert_eq!(register.judge(None).unwrap().ticks, [10, 30, 40]);
        for nonsense in [b"5".as_slice(), b"x"] {
            assert!(register.judge(Some(nonsense)).unwrap().ticks.is_empty());
        }
        register.written += 1;
        register.ended(&Outcome::<()>::No, 50);
        assert!(register.judge(Some(b"5")).is_some(), "it was said not to be executed");
    }
}
