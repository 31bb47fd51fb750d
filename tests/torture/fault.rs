use crate::{
    LEASE,
    crew::Crew,
    dice::Dice,
    moment::{Micros, now},
    stage::Stage,
};
use anyhow::{Context, Result};
use std::{
    fmt, thread,
    time::{Duration, Instant},
};

/// What is done to workers and their server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// SIGKILL to a worker; another starts.
    Kill,
    /// SIGSTOP to a worker, and SIGCONT after a while.
    Stop(Duration),
    CutClients,
    CutSubscribers,
    PauseClients(Duration),
    /// The server is killed, and is back after a while.
    Restart(Duration),
    FlushScripts,
    /// What was executed, its caller does not know.
    LoseAnswer,
    /// What goes to and from the server is late for a while.
    Delay(Duration, Duration),
    /// The connections there are bring nothing more, and do not end.
    Silence,
    /// All subscriptions are cut again and again, while everything else goes on.
    Unheard(Duration),
    /// The server takes nothing more for a while.
    Full(Duration),
    /// The server forgets for a while what it is told, to make room.
    Evict(Duration),
    FlushAll,
    /// Another server becomes the master.
    FailOver,
}

impl Fault {
    /// What befalls everybody, each of them as often as the others, in an order that nobody expects.
    pub(crate) fn round(dice: &mut Dice) -> Vec<Self> {
        let mut faults = Self::all(dice);
        dice.shuffle(&mut faults);
        faults
    }

    /// And what a store may do whose contents can be had again.
    pub(crate) fn round_for_caches(dice: &mut Dice) -> Vec<Self> {
        let mut faults = Self::all(dice);
        faults.extend([
            Self::Silence,
            Self::CutSubscribers,
            Self::CutSubscribers,
            Self::Unheard(dice.millis(20..100)),
            Self::Unheard(dice.millis(300..3000)),
            Self::Full(dice.millis(20..500)),
            Self::Evict(dice.millis(20..300)),
            Self::FlushAll,
        ]);
        dice.shuffle(&mut faults);
        faults
    }

    pub(crate) fn round_with_failover(dice: &mut Dice) -> Vec<Self> {
        let lease = LEASE.as_millis() as u64;
        let mut faults = vec![Self::Kill, Self::Stop(dice.millis(20..lease)), Self::CutClients, Self::CutSubscribers];
        faults.extend([Self::FailOver; 4]);
        dice.shuffle(&mut faults);
        faults
    }

    fn all(dice: &mut Dice) -> Vec<Self> {
        let lease = LEASE.as_millis() as u64;
        vec![
            Self::Kill,
            Self::Kill,
            Self::Stop(dice.millis(20..lease)),
            Self::Stop(dice.millis(lease..2 * lease)),
            Self::Stop(dice.millis(lease..2 * lease)),
            Self::CutClients,
            Self::CutSubscribers,
            Self::PauseClients(dice.millis(20..900)),
            Self::Restart(dice.millis(0..800)),
            Self::FlushScripts,
            Self::LoseAnswer,
            Self::Delay(dice.millis(20..120), dice.millis(100..500)),
            Self::Delay(dice.millis(20..120), dice.millis(100..500)),
        ]
    }

    /// Whether those who are cut off learn of it at once.
    pub(crate) fn is_noticed(self) -> bool {
        matches!(
            self,
            Self::CutClients
                | Self::CutSubscribers
                | Self::Unheard(_)
                | Self::FlushScripts
                | Self::FlushAll
                | Self::Kill
        )
    }

    /// Does it, and returns when it is over.
    fn strike(self, stage: &Stage, crew: &mut Crew, dice: &mut Dice) -> Result<()> {
        let victim = dice.below(crew.count()) as usize;
        let call = |command: &[&str]| stage.call(command).map(drop);
        let limit = |policy: &str, time| {
            call(&["CONFIG", "SET", "maxmemory-policy", policy])?;
            call(&["CONFIG", "SET", "maxmemory", "1"])?;
            thread::sleep(time);
            call(&["CONFIG", "SET", "maxmemory", "0"])
        };
        match (self, stage) {
            (Self::Kill, _) => crew.replace(victim, dice),
            (Self::Stop(time), _) => crew.stop(victim, time),
            (Self::CutClients, _) => call(&["CLIENT", "KILL", "TYPE", "normal"]),
            (Self::CutSubscribers, _) => call(&["CLIENT", "KILL", "TYPE", "pubsub"]),
            (Self::Unheard(time), _) => {
                let until = Instant::now() + time;
                while Instant::now() < until {
                    call(&["CLIENT", "KILL", "TYPE", "pubsub"])?;
                    thread::sleep(Duration::from_millis(2));
                }
                Ok(())
            }
            (Self::PauseClients(time), _) => {
                call(&["CLIENT", "PAUSE", &time.as_millis().to_string(), "ALL"])?;
                thread::sleep(time);
                Ok(())
            }
            (Self::FlushScripts, _) => call(&["SCRIPT", "FLUSH"]),
            (Self::FlushAll, _) => call(&["FLUSHALL"]),
            (Self::Full(time), _) => limit("noeviction", time),
            (Self::Evict(time), _) => limit("allkeys-random", time),
            (Self::Restart(time), Stage::Alone { server, .. }) => {
                server.kill()?;
                thread::sleep(time);
                server.restart()
            }
            (Self::LoseAnswer, Stage::Alone { network, .. }) => {
                network.drop_next_reply();
                Ok(())
            }
            (Self::Silence, Stage::Alone { network, .. }) => {
                network.black_hole_existing();
                Ok(())
            }
            (Self::Delay(delay, time), Stage::Alone { network, .. }) => {
                network.delay(delay);
                thread::sleep(time);
                network.pass()
            }
            (Self::FailOver, Stage::Watched(sentinel)) => {
                sentinel.fail_over()?;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// What was done, from when to when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Struck {
    pub(crate) fault: Fault,
    pub(crate) since: Micros,
    pub(crate) until: Micros,
}

/// Strikes for a while.
pub(crate) fn strikes(
    stage: &Stage,
    crew: &mut Crew,
    dice: &mut Dice,
    time: Duration,
    round: fn(&mut Dice) -> Vec<Fault>,
) -> Result<Vec<Struck>> {
    let (begun, mut faults, mut plan) = (Instant::now(), Vec::new(), Vec::new());
    loop {
        // Now and then it is calm for long enough to see what is so without a fault.
        let pause = if dice.one_in(10) { dice.millis(2500..5000) } else { dice.millis(30..600) };
        thread::sleep(pause.min(time.saturating_sub(begun.elapsed())));
        if begun.elapsed() >= time {
            return Ok(faults);
        }
        let fault = plan.pop().unwrap_or_else(|| {
            plan = round(dice);
            Fault::Kill
        });
        let (since, at) = (now(), begun.elapsed());
        fault.strike(stage, crew, dice).with_context(|| fault.to_string())?;
        println!("  {:6.2} s  {fault}", at.as_secs_f64());
        faults.push(Struck { fault, since, until: now() });
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill => f.write_str("a worker is killed"),
            Self::Stop(time) => write!(f, "a worker stands still for {} ms", time.as_millis()),
            Self::CutClients => f.write_str("all connections are cut"),
            Self::CutSubscribers => f.write_str("all subscriptions are cut"),
            Self::PauseClients(time) => write!(f, "the server listens to nobody for {} ms", time.as_millis()),
            Self::Restart(time) => write!(f, "the server is killed, and away for {} ms", time.as_millis()),
            Self::FlushScripts => f.write_str("the server forgets its scripts"),
            Self::Silence => f.write_str("all connections bring nothing more"),
            Self::Unheard(time) => write!(f, "all subscriptions are cut for {} ms", time.as_millis()),
            Self::Full(time) => write!(f, "the server is full for {} ms", time.as_millis()),
            Self::Evict(time) => write!(f, "the server evicts for {} ms", time.as_millis()),
            Self::FlushAll => f.write_str("the server forgets everything"),
            Self::FailOver => f.write_str("another server is the master"),
            Self::LoseAnswer => f.write_str("an answer is lost"),
            Self::Delay(delay, time) => write!(f, "all are {} ms late for {} ms", delay.as_millis(), time.as_millis()),
        }
    }
}
