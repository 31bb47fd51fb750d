use crate::{crew::Crew, dice::Dice, worker::LEASE};
use anyhow::{Result, bail};
use std::{fmt, thread, time::Duration};
use xtask::{
    fixture::{Proxy, Server},
    resp::Reply,
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
}

impl Fault {
    /// Each of them as often as the others, in an order that nobody expects.
    pub(crate) fn round(dice: &mut Dice) -> Vec<Self> {
        let lease = LEASE.as_millis() as u64;
        let mut faults = vec![
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
        ];
        dice.shuffle(&mut faults);
        faults
    }

    /// Does it, and returns when it is over.
    pub(crate) fn strike(self, server: &Server, network: &Proxy, crew: &mut Crew, dice: &mut Dice) -> Result<()> {
        let victim = dice.below(crew.count()) as usize;
        match self {
            Self::Kill => crew.replace(victim, dice),
            Self::Stop(time) => crew.stop(victim, time),
            Self::CutClients => call(server, &["CLIENT", "KILL", "TYPE", "normal"]),
            Self::CutSubscribers => call(server, &["CLIENT", "KILL", "TYPE", "pubsub"]),
            Self::PauseClients(time) => {
                call(server, &["CLIENT", "PAUSE", &time.as_millis().to_string(), "ALL"])?;
                thread::sleep(time);
                Ok(())
            }
            Self::Restart(time) => {
                server.kill()?;
                thread::sleep(time);
                server.restart()
            }
            Self::FlushScripts => call(server, &["SCRIPT", "FLUSH"]),
            Self::LoseAnswer => {
                network.drop_next_reply();
                Ok(())
            }
            Self::Delay(delay, time) => {
                network.delay(delay);
                thread::sleep(time);
                network.pass()
            }
        }
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
            Self::LoseAnswer => f.write_str("an answer is lost"),
            Self::Delay(delay, time) => write!(f, "all are {} ms late for {} ms", delay.as_millis(), time.as_millis()),
        }
    }
}

fn call(server: &Server, command: &[&str]) -> Result<()> {
    match server.call(command)? {
        Reply::Error(error) => bail!("{}: {error}", command.join(" ")),
        _ => Ok(()),
    }
}
