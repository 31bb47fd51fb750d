//! `cargo xtask bench`: ratios to the least code that does the same, measured side by side.

mod flags;
mod histogram;
mod load;
mod lock;
mod machine;
mod meter;
mod pin;
mod progress;
mod round;
mod scenario;
mod stage;
mod stats;
mod store;
mod table;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::flags::Bench;
use crate::machine::Machine;
use crate::round::Plan;
use crate::scenario::{SCENARIOS, Scenario};

fn main() -> ExitCode {
    match run(&Bench::from_env_or_exit()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(flags: &Bench) -> Result<()> {
    if flags.list {
        let width = SCENARIOS.iter().map(|scenario| scenario.name.len()).max().unwrap_or_default();
        for scenario in SCENARIOS {
            println!("{:width$}  {} (--pin {})", scenario.name, scenario.about, scenario.pin);
        }
        return Ok(());
    }
    let plan = Plan {
        rounds: flags.rounds.unwrap_or(9),
        time: Duration::try_from_secs_f64(flags.seconds.unwrap_or(0.5)).context("--seconds")?,
        only: flags.only.clone(),
    };
    ensure!(plan.rounds > 0, "--rounds must not be zero");
    ensure!(plan.time >= Duration::from_millis(10), "--seconds must be at least 0.01");
    let scenarios = chosen(&flags.scenarios)?;
    let machine = Machine::read()?;
    println!("{}", if flags.json { machine.json().to_string() } else { machine.to_string() });
    for scenario in scenarios {
        let report = round::run(scenario, flags.pin.unwrap_or(scenario.pin), &plan)?;
        if flags.json {
            table::json(&report).iter().for_each(|row| println!("{row}"));
        } else {
            println!("\n{}", table::text(&report));
        }
    }
    Ok(())
}

/// The scenarios of these names, in this order; all without a name.
fn chosen(names: &[String]) -> Result<Vec<&'static Scenario>> {
    if names.is_empty() {
        return Ok(SCENARIOS.iter().collect());
    }
    let find = |name: &String| {
        let found = SCENARIOS.iter().find(|scenario| scenario.name == name);
        found.with_context(|| format!("no scenario {name}: --list names them"))
    };
    names.iter().map(find).collect()
}
