//! `cargo xtask bench`: ratios to the least code that does the same, measured side by side.

mod cache;
mod compress;
mod flags;
mod foreign;
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
mod report;
mod role;
mod round;
mod scenario;
mod stage;
mod startup;
mod stats;
mod store;
mod table;
mod timing;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::flags::Bench;
use crate::machine::Machine;
use crate::progress::Place;
use crate::report::Report;
use crate::round::Plan;
use crate::scenario::{SCENARIOS, Scenario};
use crate::timing::{TIMINGS, Timing};

fn main() -> ExitCode {
    match lock::serve().or_else(cache::serve).unwrap_or_else(|| run(&Bench::from_env_or_exit())) {
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
    // Beside what cargo builds there; the servers it has are ignored, too.
    let folder = flags.report.clone().unwrap_or_else(|| xtask::workspace::target().join("bench"));
    if let Some(folder) = &flags.again {
        println!("{}", report::again(folder)?);
        return Ok(());
    }
    if let Some(other) = &flags.compare {
        let (table, agree) = report::compare(&folder, other)?;
        println!("{table}");
        ensure!(agree, "the runs do not agree on who is faster");
        return Ok(());
    }
    let plan = Plan {
        rounds: flags.rounds.unwrap_or(if flags.quick { 2 } else { 9 }),
        time: flags.seconds.map(Duration::try_from_secs_f64).transpose().context("--seconds")?,
        share: if flags.quick { 8 } else { 1 },
        only: flags.only.clone(),
    };
    ensure!(plan.rounds > 0, "--rounds must not be zero");
    ensure!(plan.time.is_none_or(|time| time >= Duration::from_millis(10)), "--seconds must be at least 0.01");
    measure(flags, &plan, &folder)
}

fn measure(flags: &Bench, plan: &Plan, folder: &Path) -> Result<()> {
    let mut chosen = chosen(&flags.scenarios)?;
    if flags.quick && flags.scenarios.is_empty() {
        chosen.retain(|entry| matches!(entry, Entry::Scenario(_)));
    }
    if let Some(trace) = flags.trace.clone() {
        cache::choose_trace(trace);
    }
    let machine = Machine::read()?;
    println!("{}", if flags.json { machine.json().to_string() } else { machine.to_string() });
    let wanted = flags.report.is_some() || flags.scenarios.is_empty();
    let mut report = wanted.then(|| Report::begin(folder, machine.json())).transpose()?;
    let of = chosen.len();
    for (at, entry) in chosen.into_iter().enumerate() {
        let place = Place { at, of };
        let (rows, text) = match entry {
            Entry::Scenario(scenario) => {
                let report = round::run(scenario, flags.pin.unwrap_or(scenario.pin), plan, place)?;
                (table::json(&report), table::text(&report))
            }
            Entry::Timing(timing) => {
                let rounds = flags.rounds.unwrap_or(5);
                let times = timing::run(timing, rounds, place)?;
                (timing::json(&times), timing::text(&times))
            }
        };
        if flags.json {
            rows.iter().for_each(|row| println!("{row}"));
        } else {
            println!("\n{text}");
        }
        report.as_mut().map_or(Ok(()), |report| report.add(&rows))?;
    }
    if let Some(report) = report {
        eprintln!("{}", report.end()?);
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
