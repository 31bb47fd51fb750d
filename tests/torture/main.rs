//! Workers that lock, in processes that are killed, stopped and cut off: `torture [--seconds N] [--seed S]`.
//!
//! Whatever happens to them and to the server, no two hold a lock validly at once, fencing tokens grow, a register that compares them
//! loses no update, nobody waits beyond a deadline, and what the dead leave is gone in time. What a server acknowledged survives its
//! end here: it writes an append-only file, and syncs it always.

mod ask;
mod crew;
#[path = "../chaos/dice.rs"]
mod dice;
mod event;
mod fault;
mod history;
mod play;
mod register;
mod report;
mod task;
mod worker;

use anyhow::{Context, Result, ensure};
use std::{
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

#[derive(Debug, PartialEq, Eq)]
struct Args {
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
    let Args { time, seed } = parse(args)?;
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| u64::from(time.subsec_nanos()));
    let seed = seed.unwrap_or_else(now);
    println!("torture with seed {seed}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(play::play(seed, time)).with_context(|| format!("with seed {seed}"))?;
    println!("{report}");
    if !report.breaches.is_empty() {
        println!("again: cargo xtask torture --seconds {} --seed {seed}", time.as_secs());
    }
    Ok(report.breaches.is_empty())
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Args> {
    let mut parsed = Args { time: Duration::from_secs(5), seed: None };
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
        let expected = Args { time: Duration::from_secs(600), seed: Some(7) };
        assert_eq!(of("--seconds 600 --seed 7").unwrap(), expected);
        for wrong in ["cluster", "--seconds", "--seconds 0", "--seed x", "--load 7"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }
}
