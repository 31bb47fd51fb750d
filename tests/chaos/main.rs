//! Load and faults on every topology: `chaos [TOPOLOGY] [--seconds N] [--seed S]`.
//!
//! Whatever happens to the servers and the network, every call ends by its deadline, every reply belongs to its request,
//! what was acknowledged is there, nothing is executed more often than called, and nothing is left behind.

mod call;
mod channel;
mod counter;
mod dice;
mod echo;
mod fault;
mod knock;
mod leak;
mod load;
mod play;
mod punctual;
mod queue;
mod recovery;
mod register;
mod report;
mod stage;
mod strike;
mod topology;
mod window;

use anyhow::{Context, Result, ensure};
use std::{
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use topology::Topology;

#[derive(Debug, PartialEq, Eq)]
struct Args {
    topologies: Vec<Topology>,
    time: Duration,
    seed: Option<u64>,
}

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
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
    let Args { topologies, time, seed } = parse(args)?;
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| u64::from(time.subsec_nanos()));
    let seed = seed.unwrap_or_else(now);
    let mut failed = Vec::new();
    for topology in topologies {
        println!("{} with seed {seed}", topology.name());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let played = runtime.block_on(play::play(topology, seed, time));
        let report = played.with_context(|| format!("{} with seed {seed}", topology.name()))?;
        println!("{report}");
        if !report.breaches.is_empty() {
            failed.push(topology);
        }
    }
    for topology in &failed {
        println!("again: cargo xtask chaos {} --seconds {} --seed {seed}", topology.name(), time.as_secs());
    }
    Ok(failed.is_empty())
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Args> {
    let mut parsed = Args { topologies: Vec::new(), time: Duration::from_secs(5), seed: None };
    while let Some(arg) = args.next() {
        let mut number = || -> Result<u64> { Ok(args.next().with_context(|| format!("{arg}: no number"))?.parse()?) };
        match arg.as_str() {
            "--seconds" => parsed.time = Duration::from_secs(number()?),
            "--seed" => parsed.seed = Some(number()?),
            "all" => parsed.topologies.extend(Topology::ALL),
            name => parsed.topologies.push(name.parse()?),
        }
    }
    ensure!(!parsed.time.is_zero(), "--seconds: nothing happens in no time");
    if parsed.topologies.is_empty() {
        parsed.topologies.extend(Topology::ALL);
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<Args> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn arguments_are_read_or_refused() {
        let args = of("cluster --seconds 600 --seed 7").unwrap();
        let expected = Args { topologies: vec![Topology::Cluster], time: Duration::from_secs(600), seed: Some(7) };
        assert_eq!(args, expected);
        assert_eq!(of("").unwrap().topologies, Topology::ALL);
        for wrong in ["mesh", "--seconds", "--seconds 0", "--seed x"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }
}
