use super::{
    event::{Event, Outcome, What},
    options,
    register::{Register, Written},
};
use crate::{
    LEASE,
    dice::Dice,
    moment::{Micros, now},
};
use anyhow::Result;
use kv_core::KvStore;
use kv_redis::RedisStore;
use redis_lock::{LockError, LockGuard, LockManager, Release, TryAcquire};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::{sleep, timeout};

/// Tasks that share a manager, and all of them.
const SHARING: u64 = 3;
const TASKS: u64 = 5;

/// What a process does until it is told to stop.
pub(crate) async fn work(store: Arc<RedisStore>, mut dice: Dice, stop: Arc<AtomicBool>) -> Result<()> {
    let manager = |options| LockManager::new(store.clone(), options);
    let (shared, brief) = (manager(options())?, manager(options().renew(false))?);
    let mut running = Vec::new();
    for number in 0..TASKS {
        let own = if number < SHARING { shared.clone() } else { manager(options())? };
        let task = Task {
            store: store.clone() as Arc<dyn KvStore>,
            own: (own, if number < SHARING { 0 } else { number as i64 }),
            brief: brief.clone(),
            dice: dice.fork(),
            next_ask: number,
            step: TASKS,
        };
        running.push(tokio::spawn(task.run(stop.clone())));
    }
    for task in running {
        task.await?;
    }
    Ok(())
}

/// One who locks, again and again.
struct Task {
    store: Arc<dyn KvStore>,
    /// The manager, and its number.
    own: (LockManager, i64),
    /// One that does not renew.
    brief: LockManager,
    dice: Dice,
    /// Numbers of acquisitions, those of other tasks between them.
    next_ask: u64,
    step: u64,
}

pub(crate) const NAMES: u64 = 3;
const BRIEF: i64 = -1;

#[derive(Clone, Copy)]
enum Way {
    Try,
    Wait,
    /// Waits, and is dropped meanwhile.
    Cancel,
}

/// How often which.
const WAYS: [Way; 8] = [Way::Try, Way::Cancel, Way::Cancel, Way::Wait, Way::Wait, Way::Wait, Way::Wait, Way::Wait];

/// The acquisition that a task is at.
#[derive(Clone, Copy)]
struct Story {
    ask: u64,
    name: u8,
}

impl Story {
    fn tell(self, at: Micros, what: What) {
        println!("{}", Event { ask: self.ask, name: self.name, at, what });
    }
}

/// Until when a lock is valid, 0 for not at all: looked at in this order, a process that is stopped in between errs on the safe side.
fn until(guard: &LockGuard) -> Micros {
    let now = now();
    if guard.is_valid() { now + guard.remaining().as_micros() as Micros } else { 0 }
}

impl Task {
    async fn run(mut self, stop: Arc<AtomicBool>) {
        while !stop.load(Ordering::Relaxed) {
            self.next_ask += self.step;
            let story = Story { ask: self.next_ask, name: self.dice.below(NAMES) as u8 };
            let (locks, manager) = if self.dice.one_in(8) { (self.brief.clone(), BRIEF) } else { self.own.clone() };
            if let Some(guard) = self.acquire(story, &locks, manager).await {
                self.hold(story, manager, guard).await;
            }
            sleep(self.dice.micros(0..8_000)).await;
        }
    }

    async fn acquire(&mut self, story: Story, locks: &LockManager, manager: i64) -> Option<LockGuard> {
        let name = story.name.to_string();
        let (wait, patience) = (self.dice.millis(200..3000), self.dice.millis(0..500));
        let way = self.dice.pick(&WAYS).unwrap_or(Way::Wait);
        let asked = What::Asked(if matches!(way, Way::Try) { 0 } else { wait.as_millis() as i64 }, manager);
        story.tell(now(), asked);
        let acquired = match way {
            Way::Try => locks.try_acquire(&name).await.and_then(|tried| match tried {
                TryAcquire::Acquired(guard) => Ok(guard),
                TryAcquire::Held { .. } => Err(LockError::Timeout),
            }),
            Way::Cancel => match timeout(patience, locks.acquire(&name, wait)).await {
                Ok(acquired) => acquired,
                Err(_) => {
                    story.tell(now(), What::Cancelled);
                    return None;
                }
            },
            Way::Wait => locks.acquire(&name, wait).await,
        };
        match acquired {
            Ok(guard) => {
                story.tell(now(), What::Granted(guard.fencing_token() as i64, until(&guard)));
                return Some(guard);
            }
            Err(LockError::Timeout) => story.tell(now(), What::TimedOut),
            Err(_) => story.tell(now(), What::Failed),
        }
        None
    }

    async fn hold(&mut self, story: Story, manager: i64, guard: LockGuard) {
        for _ in 0..=self.dice.below(2) {
            self.write(story, &guard).await;
        }
        if self.dice.one_in(if manager == BRIEF { 4 } else { 32 }) {
            // Longer than the lease, which is lost where nobody renews it; and a write that knows nothing of that.
            let work = sleep(LEASE + self.dice.millis(0..600));
            tokio::select! {
                () = work => {}
                () = guard.lost() => story.tell(now(), What::Lost),
            }
            sleep(self.dice.millis(0..50)).await;
            self.write(story, &guard).await;
        }
        let at = now();
        story.tell(at, What::Releasing(until(&guard)));
        if self.dice.one_in(3) {
            return drop(guard);
        }
        let outcome = match guard.release().await {
            Ok(Release::Released) => Outcome::Ours,
            Ok(Release::AlreadyExpired | Release::Stolen) => Outcome::NotOurs,
            Err(_) => Outcome::Unknown,
        };
        story.tell(now(), What::Released(outcome));
    }

    async fn write(&mut self, story: Story, guard: &LockGuard) {
        let Some(scripts) = self.store.scripts() else { return };
        let register = Register { scripts, key: format!("register:{}", story.name) };
        let fence = guard.fencing_token() as i64;
        let Ok(value) = register.read(fence).await else { return };
        let refused = value < 0;
        sleep(self.dice.micros(0..6_000)).await;
        story.tell(now(), What::Valid(until(guard)));
        let written = if refused { Written::Refused } else { register.write(fence, value + 1).await };
        match written {
            Written::Value(value, sure) => story.tell(now(), What::Wrote(value, sure)),
            Written::Refused => story.tell(now(), What::Refused(guard.remaining() > Duration::ZERO)),
            Written::Nothing => {}
        }
    }
}
