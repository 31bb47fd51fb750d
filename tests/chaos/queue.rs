use crate::{
    call::{Caller, DEADLINE, Outcome, lock},
    window::{Tick, Windows, ticks},
};
use kv_core::{BlockingStore, End};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

/// Lists that some push to, and others wait on and leave.
#[derive(Debug, Default)]
pub(crate) struct Queues(Mutex<Books>);

#[derive(Debug, Default)]
struct Books {
    elements: BTreeMap<String, Element>,
    /// Waits that failed and may have taken an element.
    unsure: usize,
    /// When somebody left a wait, and when the last of it was over.
    left: Vec<(Tick, Tick)>,
}

#[derive(Debug, Default)]
struct Element {
    /// None: nobody knows whether it is there.
    pushed: Option<Tick>,
    taken: Vec<Tick>,
}

const LISTS: u64 = 4;
/// How long a wait that was left may take to put back what it took.
pub(crate) const UNDO: Duration = Duration::from_millis(3_500);

impl Queues {
    pub(crate) fn keys() -> impl Iterator<Item = String> {
        (0..LISTS).map(|list| format!("queue:{list}"))
    }

    pub(crate) async fn push(self: Arc<Self>, mut caller: Caller, own: u64) {
        let store = caller.store.clone();
        for number in 0.. {
            if !caller.goes_on() {
                return;
            }
            let (key, element) = (format!("queue:{}", caller.dice.below(LISTS)), format!("{own}-{number}"));
            let elements = [element.as_bytes()];
            let outcome = caller.call("push", store.push(&key, End::Back, &elements)).await;
            self.pushed(&element, &outcome, caller.run.clock.now());
            caller.think().await;
        }
    }

    pub(crate) async fn pop(self: Arc<Self>, mut caller: Caller) {
        let store = caller.store.clone();
        while caller.goes_on() {
            let key = format!("queue:{}", caller.dice.below(LISTS));
            let wait = caller.dice.millis(0..200);
            let patience = if caller.dice.one_in(3) { Some(caller.dice.micros(0..20_000)) } else { None };
            let keys = [key.as_str()];
            let pop = store.pop(&keys, End::Front, wait);
            let begun = caller.run.clock.now();
            let outcome = caller.call_within("pop", wait + DEADLINE, patience, pop).await;
            let outcome = match outcome {
                Outcome::Done(taken) => Outcome::Done(taken.map(|(_, element)| element)),
                Outcome::No => Outcome::No,
                Outcome::Maybe => Outcome::Maybe,
                Outcome::Dropped => Outcome::Dropped,
            };
            self.popped(&outcome, begun, caller.run.clock.now());
            if !matches!(outcome, Outcome::Done(Some(_))) {
                caller.think().await;
            }
        }
    }

    fn pushed<T>(&self, element: &str, outcome: &Outcome<T>, now: Tick) {
        let pushed = match outcome {
            Outcome::Done(_) => Some(now),
            Outcome::Maybe | Outcome::Dropped => None,
            Outcome::No => return,
        };
        lock(&self.0).elements.entry(element.to_owned()).or_default().pushed = pushed;
    }

    fn popped<T: AsRef<[u8]>>(&self, outcome: &Outcome<Option<T>>, begun: Tick, now: Tick) {
        let mut books = lock(&self.0);
        match outcome {
            Outcome::Done(Some(element)) => {
                let element = String::from_utf8_lossy(element.as_ref()).into_owned();
                books.elements.entry(element).or_default().taken.push(now);
            }
            Outcome::Done(None) | Outcome::No => {}
            Outcome::Maybe => books.unsure += 1,
            Outcome::Dropped => books.left.push((begun, now + ticks(UNDO))),
        }
    }

    /// Checks that every element is somewhere, and once, given those that are still in the lists.
    pub(crate) fn judge(&self, rest: &[String], losses: &Windows, faults: &Windows) -> Verdict {
        let books = lock(&self.0);
        let mut verdict = Verdict::default();
        for (name, element) in &books.elements {
            let left = rest.iter().filter(|other| *other == name).count();
            // All but the last sighting were taken away for good, unless no replica heard of it.
            let again = (element.taken.len() + left).saturating_sub(1);
            let doubled = left > 1 || element.taken.iter().take(again).any(|tick| !losses.covers(*tick));
            verdict.doubled.extend(doubled.then(|| name.clone()));
            let gone = element.taken.is_empty() && left == 0;
            verdict.lost += usize::from(gone && element.pushed.is_some_and(|tick| !losses.covers(tick)));
        }
        let strangers = rest.iter().filter(|name| !books.elements.contains_key(*name));
        verdict.strangers = strangers.count();
        let overlap = |windows: &Windows| books.left.iter().filter(|(from, to)| windows.touches(*from, *to)).count();
        verdict.may_be_lost = books.unsure + overlap(faults);
        // Put back to a master that had never heard that it was taken.
        verdict.may_be_doubled = overlap(losses);
        verdict
    }
}

/// What became of the elements.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) lost: usize,
    pub(crate) may_be_lost: usize,
    doubled: Vec<String>,
    may_be_doubled: usize,
    strangers: usize,
}

impl Verdict {
    pub(crate) fn breaches(&self) -> Vec<String> {
        let found = [
            (self.lost > self.may_be_lost)
                .then(|| format!("{} elements lost, while {} pops may have taken one", self.lost, self.may_be_lost)),
            (self.doubled.len() > self.may_be_doubled).then(|| format!("elements taken twice: {:?}", self.doubled)),
            (self.strangers > 0).then(|| format!("{} elements that nobody pushed", self.strangers)),
        ];
        found.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queues() -> Queues {
        let queues = Queues::default();
        for (element, outcome) in [("a", Outcome::Done(())), ("b", Outcome::Done(())), ("c", Outcome::Maybe)] {
            queues.pushed(element, &outcome, 100);
        }
        queues.pushed("d", &Outcome::<()>::No, 100);
        queues.popped(&Outcome::Done(Some("a")), 101, 101);
        queues
    }

    #[test]
    fn every_element_is_somewhere_once() {
        let (losses, faults) = (Windows::default(), Windows::default());
        let breaches = |queues: &Queues, rest: &[&str]| {
            let rest: Vec<String> = rest.iter().map(|&element| element.to_owned()).collect();
            queues.judge(&rest, &losses, &faults).breaches()
        };
        let queues = queues();
        assert!(breaches(&queues, &["b"]).is_empty() && breaches(&queues, &["b", "c"]).is_empty());
        assert_eq!(breaches(&queues, &[]), ["1 elements lost, while 0 pops may have taken one"]);
        assert_eq!(breaches(&queues, &["a", "b"]), ["elements taken twice: [\"a\"]"]);
        assert_eq!(breaches(&queues, &["b", "b"]), ["elements taken twice: [\"b\"]"]);
        assert_eq!(breaches(&queues, &["b", "d"]), ["1 elements that nobody pushed"]);
        queues.popped::<&str>(&Outcome::Dropped, 101, 101);
        assert_eq!(breaches(&queues, &[]).len(), 1, "a wait that is left loses nothing");
        faults.open(105, Duration::ZERO);
        assert!(breaches(&queues, &[]).is_empty(), "unless its connection died");
        losses.open(101, Duration::ZERO);
        assert!(breaches(&queues, &["a", "b"]).is_empty(), "nobody else knew that it was taken");
    }

    #[test]
    fn a_pop_that_failed_accounts_for_one_element() {
        let queues = queues();
        queues.popped::<&str>(&Outcome::Maybe, 101, 101);
        let verdict = queues.judge(&[], &Windows::default(), &Windows::default());
        assert_eq!((verdict.lost, verdict.may_be_lost), (1, 1));
        assert!(verdict.breaches().is_empty());
    }
}
