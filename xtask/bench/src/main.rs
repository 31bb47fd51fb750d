//! `cargo xtask bench`: ratios to the least code that does the same, measured side by side.

mod cache;
mod compress;
mod flags;
mod histogram;
mod load;
mod lock;
mod machine;
mod meter;
mod near;
mod pin;
mod progress;
mod ratelimit;
mod recovery;
mod round;
mod scenario;
mod stage;
mod startup;
mod stats;
mod store;
mod table;
mod timing;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::flags::Bench;
use crate::machine::Machine;
use crate::round::Plan;
use crate::scenario::{SCENARIOS, Scenario};
use crate::timing::{TIMINGS, Timing};

fn main() -> ExitCode {
    match lock::serve().unwrap_or_else(|| run(&Bench::from_env_or_exit())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(flags: &Bench) -> Result<()> {
    if flags.list {
        list();
        return Ok(());
    }
    let plan = Plan {
        rounds: flags.rounds.unwrap_or(9),
        time: flags.seconds.map(Duration::try_from_secs_f64).transpose().context("--seconds")?,
        only: flags.only.clone(),
    };
    ensure!(plan.rounds > 0, "--rounds must not be zero");
    ensure!(plan.time.is_none_or(|time| time >= Duration::from_millis(10)), "--seconds must be at least 0.01");
    let chosen = chosen(&flags.scenarios)?;
    let machine = Machine::read()?;
    println!("{}", if flags.json { machine.json().to_string() } else { machine.to_string() });
    let show = |rows: Vec<serde_json::Value>, text: String| {
        if flags.json {
            rows.iter().for_each(|row| println!("{row}"));
        } else {
            println!("\n{text}");
        }
    };
    for entry in chosen {
        match entry {
            Entry::Scenario(scenario) => {
                let report = round::run(scenario, flags.pin.unwrap_or(scenario.pin), &plan)?;
                show(table::json(&report), table::text(&report));
            }
            Entry::Timing(timing) => {
                let times = timing::run(timing, flags.rounds.unwrap_or(5))?;
                show(timing::json(&times), timing::text(&times));
            }
        }
    }
    Ok(())
}

/// What the command line can name.
enum Entry {
    Scenario(&'static Scenario),
    Timing(&'static Timing),
}

impl Entry {
    fn all() -> impl Iterator<Item = Self> {
        SCENARIOS.iter().map(Self::Scenario).chain(TIMINGS.iter().map(Self::Timing))
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Scenario(scenario) => scenario.name,
            Self::Timing(timing) => timing.name,
        }
    }
}

fn list() {
    let width = Entry::all().map(|entry| entry.name().len()).max().unwrap_or_default();
    for entry in Entry::all() {
        let name = entry.name();
        match entry {
            Entry::Scenario(Scenario { about, pin, .. }) => println!("{name:width$}  {about} (--pin {pin})"),
            Entry::Timing(Timing { about, .. }) => println!("{name:width$}  {about}"),
        }
    }
}

/// What has these names, in this order; everything without a name.
fn chosen(names: &[String]) -> Result<Vec<Entry>> {
    if names.is_empty() {
        return Ok(Entry::all().collect());
    }
    let find = |name: &String| {
        let found = Entry::all().find(|entry| entry.name() == name);
        found.with_context(|| format!("no scenario {name}: --list names them"))
    };
    names.iter().map(find).collect()
}
