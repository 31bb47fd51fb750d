//! Workers in processes that are killed, stopped and cut off: `torture [lock|cache|cache-failover] [--seconds N] [--seed S]`.
//!
//! Each subject says what holds whatever happens to them and to the server. What a server acknowledged survives its end here, but for
//! a failover: it writes an append-only file, and syncs it always.

mod breaches;
mod cache;
mod crew;
#[path = "../chaos/dice.rs"]
mod dice;
mod fault;
mod lock;
mod moment;
mod stage;
mod watch;
mod worker;

use crate::dice::Dice;
use anyhow::{Context, Result, ensure};
use std::{
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// How long what dies while it is at work is waited for.
const LEASE: Duration = Duration::from_millis(600);
/// The longest a call may take.
const DEADLINE: Duration = Duration::from_millis(400);
const WORKERS: usize = 4;

/// What is tortured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Lock,
    Cache,
    /// With a master that is replaced.
    CacheFailover,
}

impl Subject {
    const ALL: [Self; 3] = [Self::Lock, Self::Cache, Self::CacheFailover];

    fn name(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Cache => "cache",
            Self::CacheFailover => "cache-failover",
        }
    }

    fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|subject| subject.name() == name)
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Args {
    subjects: Vec<Subject>,
    time: Duration,
    seed: Option<u64>,
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1).peekable();
    let done = match args.next_if(|arg| arg == worker::ROLE) {
        Some(_) => worker::work(args).map(|()| true),
        None => run(args),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all is well.
fn run(args: impl Iterator<Item = String>) -> Result<bool> {
    let Args { subjects, time, seed } = parse(args)?;
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| u64::from(time.subsec_nanos()));
    let seed = seed.unwrap_or_else(now);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut well = true;
    for subject in subjects {
        println!("torture of {} with seed {seed}", subject.name());
        let dice = Dice::new(seed);
        let played = runtime.block_on(async {
            Ok::<_, anyhow::Error>(match subject {
                Subject::Lock => {
                    let report = lock::play(dice, time).await?;
                    (report.to_string(), report.breaches.is_empty())
                }
                Subject::Cache | Subject::CacheFailover => {
                    let report = cache::play(subject, dice, time).await?;
                    (report.to_string(), report.breaches.is_empty())
                }
            })
        });
        let (report, is_well) = played.with_context(|| format!("{} with seed {seed}", subject.name()))?;
        println!("{report}");
        if !is_well {
            println!("again: cargo xtask torture {} --seconds {} --seed {seed}", subject.name(), time.as_secs());
        }
        well &= is_well;
    }
    Ok(well)
}

fn parse(args: impl Iterator<Item = String>) -> Result<Args> {
    let mut args = args.peekable();
    let mut parsed = Args { subjects: Subject::ALL.to_vec(), time: Duration::from_secs(5), seed: None };
    if let Some(subject) = args.next_if(|arg| !arg.starts_with('-')) {
        parsed.subjects = vec![Subject::of(&subject).with_context(|| format!("{subject}: no subject"))?];
    }
    while let Some(arg) = args.next() {
        let number: u64 = args.next().with_context(|| format!("{arg}: no number"))?.parse()?;
        match arg.as_str() {
            "--seconds" => parsed.time = Duration::from_secs(number),
            "--seed" => parsed.seed = Some(number),
            _ => anyhow::bail!("{arg}: unknown"),
        }
    }
    ensure!(!parsed.time.is_zero(), "--seconds: nothing happens in no time");
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_or_refused() {
        let of = |line: &str| parse(line.split_whitespace().map(str::to_owned));
        let expected = Args { subjects: Subject::ALL.to_vec(), time: Duration::from_secs(600), seed: Some(7) };
        assert_eq!(of("--seconds 600 --seed 7").unwrap(), expected);
        assert_eq!(of("cache --seed 7").unwrap().subjects, [Subject::Cache]);
        for wrong in ["cluster", "--seconds", "--seconds 0", "--seed x", "--load 7"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }
}
