//! Rounds: every contender takes its turn in each, so that what disturbs the machine disturbs them all.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::runtime::{Builder, Runtime};

use crate::meter::Meter;
use crate::pin::{Pinned, Placement};
use crate::progress::{Place, Progress};
use crate::scenario::{Contender, Scenario};
use crate::stage::Servers;

/// How much is measured.
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    /// How long each turn lasts, instead of what the scenarios ask for.
    pub(crate) time: Option<Duration>,
    /// How much of that, for a first look.
    pub(crate) share: u32,
    /// The one contender to run.
    pub(crate) only: Option<String>,
}

/// What a scenario yields.
pub(crate) struct Report {
    pub(crate) scenario: &'static Scenario,
    pub(crate) pinning: String,
    pub(crate) time: Duration,
    pub(crate) rounds: usize,
    pub(crate) rows: Vec<Row>,
}

/// All turns of one contender, in the order of the rounds.
pub(crate) struct Row {
    pub(crate) contender: &'static str,
    pub(crate) turns: Vec<Turn>,
}

/// One turn, per operation.
pub(crate) struct Turn {
    pub(crate) ops_per_s: f64,
    pub(crate) p50_us: Option<f64>,
    pub(crate) p99_us: Option<f64>,
    pub(crate) client_us: Option<f64>,
    pub(crate) server_us: f64,
    pub(crate) script_us: f64,
    pub(crate) commands: BTreeMap<String, f64>,
    pub(crate) figures: Vec<(&'static str, f64)>,
}

/// Runs a scenario on fresh servers.
pub(crate) fn run(scenario: &'static Scenario, placement: Placement, plan: &Plan, place: Place) -> Result<Report> {
    let (rounds, time) = (plan.rounds, plan.time.unwrap_or(scenario.turn / plan.share));
    let mut servers = scenario.stage.start()?;
    let pinned = Pinned::new(placement, &servers.pids);
    // Made after pinning: its threads inherit the place, and there are as many as it has processors.
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let mut contenders = runtime.block_on((scenario.contenders)(servers.url.clone()))?;
    if let Some(only) = &plan.only {
        contenders.retain(|contender| contender.name() == only);
        ensure!(!contenders.is_empty(), "{} has no contender {only}", scenario.name);
    }
    let mut turns: Vec<Vec<Turn>> = contenders.iter().map(|_| Vec::with_capacity(rounds)).collect();
    let mut progress = Progress::new(scenario.name, rounds, place);
    for round in 0..rounds {
        for place in 0..contenders.len() {
            let index = (round + place) % contenders.len();
            let contender = contenders[index].as_mut();
            progress.show(round, contender.name());
            let turn = turn(&runtime, &mut servers, contender, time);
            turns[index].push(turn.with_context(|| format!("{}: {}", scenario.name, contenders[index].name()))?);
        }
    }
    let rows = contenders.iter().zip(turns).map(|(contender, turns)| Row { contender: contender.name(), turns });
    Ok(Report { scenario, pinning: pinned.description.clone(), time, rounds, rows: rows.collect() })
}

fn turn(runtime: &Runtime, servers: &mut Servers, contender: &mut dyn Contender, time: Duration) -> Result<Turn> {
    runtime.block_on(contender.enter())?;
    runtime.block_on(contender.work(time / 10)).context("warm-up")?;
    let before = Meter::read(&mut servers.controls)?;
    let sample = runtime.block_on(contender.work(time))?;
    let spent = Meter::read(&mut servers.controls)?.since(&before);
    runtime.block_on(contender.leave())?;
    ensure!(sample.ops > 0, "not one operation");
    for (command, per_op) in contender.commands() {
        let count = spent.commands.get(*command).copied().unwrap_or_default();
        ensure!(count == per_op * sample.ops, "{count} times {command} in {} operations", sample.ops);
    }
    let ops = sample.ops as f64;
    let mut figures = sample.figures;
    let sent = contender.sent();
    if !sent.is_empty() {
        let count: u64 = sent.iter().filter_map(|command| spent.commands.get(*command)).sum();
        figures.extend([("sent per op", count as f64 / ops), ("reads per op", spent.reads as f64 / ops)]);
    } else if spent.reads > 0 {
        figures.push(("ops per read", ops / spent.reads as f64));
    }
    Ok(Turn {
        ops_per_s: ops / sample.elapsed.as_secs_f64(),
        p50_us: sample.latencies.quantile_us(0.5),
        p99_us: sample.latencies.quantile_us(0.99),
        client_us: spent.client_us.map(|micros| (micros + sample.elsewhere_us) / ops),
        server_us: spent.server_us / ops,
        script_us: spent.script_us / ops,
        commands: spent.commands.into_iter().map(|(name, count)| (name, count as f64 / ops)).collect(),
        figures,
    })
}
