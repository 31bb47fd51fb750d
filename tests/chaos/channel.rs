use crate::{
    call::{Caller, Outcome},
    window::{Suspicion, Tick},
};
use kv_core::{Event, PubSub, Subscription};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tokio::time::sleep;

/// What was published on a channel, and what its subscriber heard.
#[derive(Debug, Default)]
pub(crate) struct Channel {
    published: BTreeMap<u64, Tick>,
    /// May be published, or will be.
    unsure: BTreeSet<u64>,
    heard: Vec<Heard>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Number(u64),
    Gap,
}

/// The channel; there may be another of the same name within a shard.
pub(crate) const NAME: &str = "news";
/// How often one is published after the load, until it is heard: for a loss at the end must not go unseen.
const LAST: usize = 100;
const PACE: Duration = Duration::from_millis(50);

impl Channel {
    /// Publishes numbers, and listens to them.
    pub(crate) async fn talk(mut caller: Caller, pubsub: Box<dyn PubSub>, news: Subscription) -> Self {
        let (mut channel, mut heard) = (Self::default(), Vec::new());
        let newest = AtomicU64::new(0);
        tokio::select! {
            () = channel.publish(&mut caller, &*pubsub, &newest) => {}
            () = listen(news, &mut heard, &newest) => {}
        }
        channel.heard = heard;
        channel
    }

    async fn publish(&mut self, caller: &mut Caller, pubsub: &dyn PubSub, newest: &AtomicU64) {
        let mut last = None;
        let mut left = LAST;
        for number in 1.. {
            if !caller.goes_on() {
                let last = *last.get_or_insert(number);
                left -= 1;
                if newest.load(Ordering::Relaxed) >= last || left == 0 {
                    return;
                }
                sleep(PACE).await;
            }
            let payload = number.to_string();
            let outcome = caller.call("publish", pubsub.publish(NAME, payload.as_bytes())).await;
            self.ended(number, &outcome, caller.run.clock.now());
            caller.think().await;
        }
    }

    fn ended<T>(&mut self, number: u64, outcome: &Outcome<T>, now: Tick) {
        match outcome {
            Outcome::Done(_) => drop(self.published.insert(number, now)),
            Outcome::Maybe | Outcome::Dropped => drop(self.unsure.insert(number)),
            Outcome::No => {}
        }
    }

    /// Checks the order, and that what is missing was told of.
    pub(crate) fn judge(&self) -> Vec<Suspicion> {
        let (mut last, mut gap) = (0, false);
        let mut found = Vec::new();
        for heard in &self.heard {
            let Heard::Number(number) = *heard else {
                gap = true;
                continue;
            };
            let Some(tick) = self.published.get(&number) else {
                if !self.unsure.contains(&number) {
                    found.push(Suspicion::certain(format!("message {number} was never published")));
                }
                continue;
            };
            if number <= last {
                found.push(Suspicion { ticks: vec![*tick], what: format!("message {number} came after {last}") });
                continue;
            }
            let missing: Vec<Tick> = self.published.range(last + 1..number).map(|(_, tick)| *tick).collect();
            if !missing.is_empty() && !gap {
                let what = format!("{} messages before {number} are missing without a gap", missing.len());
                found.push(Suspicion { ticks: missing, what });
            }
            (last, gap) = (number, false);
        }
        let end = self.published.last_key_value().map_or(0, |(number, _)| *number);
        if last + (LAST as u64) / 2 < end {
            found.push(Suspicion::certain(format!("nothing was heard after message {last} of {end}")));
        }
        found
    }

    pub(crate) fn gaps(&self) -> usize {
        self.heard.iter().filter(|heard| **heard == Heard::Gap).count()
    }
}

async fn listen(mut news: Subscription, heard: &mut Vec<Heard>, newest: &AtomicU64) {
    while let Some(event) = news.next_event().await {
        heard.push(match event {
            Event::Gap => Heard::Gap,
            Event::Message(message) => {
                let number = std::str::from_utf8(&message.payload).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
                newest.fetch_max(number, Ordering::Relaxed);
                Heard::Number(number)
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{Heard::*, *};

    fn found(heard: &[Heard]) -> Vec<String> {
        let mut channel = Channel { heard: heard.to_vec(), ..Channel::default() };
        for number in 1..=5 {
            channel.ended(number, &Outcome::Done(()), 10);
        }
        channel.ended(6, &Outcome::<()>::Maybe, 11);
        channel.ended(7, &Outcome::<()>::No, 12);
        channel.judge().into_iter().map(|suspicion| suspicion.what).collect()
    }

    #[test]
    fn what_is_missing_was_told_of() {
        let all = [Number(1), Number(2), Number(3), Number(4), Number(5)];
        assert!(found(&all).is_empty());
        assert!(found(&[Number(1), Gap, Gap, Number(4), Number(6), Number(5)]).is_empty());
        assert_eq!(found(&[Number(1), Number(4), Gap, Number(5)]), ["2 messages before 4 are missing without a gap"]);
        assert_eq!(found(&[Gap, Number(1), Number(3)]), ["1 messages before 3 are missing without a gap"]);
        assert_eq!(found(&[Number(1), Number(2), Number(2)]), ["message 2 came after 2"]);
        assert_eq!(found(&[Number(7)]), ["message 7 was never published"]);
    }

    #[test]
    fn a_subscription_that_stays_silent_is_found() {
        let mut channel = Channel { heard: vec![Number(1), Gap], ..Channel::default() };
        for number in 1..=60 {
            channel.ended(number, &Outcome::Done(()), 10);
        }
        let found = channel.judge();
        assert_eq!(found.len(), 1);
        assert!(found[0].ticks.is_empty() && found[0].what.starts_with("nothing was heard after message 1"));
    }
}
