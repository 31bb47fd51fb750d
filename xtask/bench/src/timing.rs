//! What takes milliseconds to seconds: measured a few times, and not pinned.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::machine;
use crate::progress::{Place, Progress};
use crate::stats::{Spread, spread};
use crate::table::aligned;
use crate::{recovery, startup};

/// Every timing there is.
pub(crate) static TIMINGS: &[Timing] = &[startup::FIXTURE, recovery::SERVER, recovery::SENTINEL, recovery::CLUSTER];

/// One round: rows of the table, by name, and how long each took.
pub(crate) type Round = Box<dyn FnMut() -> Result<Vec<(&'static str, Duration)>>>;

/// Something that is done a few times by the clock.
pub(crate) struct Timing {
    pub(crate) name: &'static str,
    /// One line: from when to when.
    pub(crate) about: &'static str,
    /// The crates whose versions the report names.
    pub(crate) crates: &'static [&'static str],
    /// Starts what the rounds have in common. Every round has the same rows.
    pub(crate) start: fn() -> Result<Round>,
}

/// What the rounds took, in milliseconds.
pub(crate) struct Times {
    timing: &'static Timing,
    rounds: usize,
    rows: Vec<(&'static str, Vec<f64>)>,
}

/// Runs all rounds.
pub(crate) fn run(timing: &'static Timing, rounds: usize, place: Place) -> Result<Times> {
    let mut progress = Progress::new(timing.name, rounds, place);
    progress.show(0, "starts");
    let mut round = (timing.start)().context(timing.name)?;
    let mut rows: Vec<(&'static str, Vec<f64>)> = Vec::new();
    for number in 0..rounds {
        progress.show(number, "runs");
        for (at, (name, time)) in round().context(timing.name)?.into_iter().enumerate() {
            if number == 0 {
                rows.push((name, Vec::with_capacity(rounds)));
            }
            rows[at].1.push(time.as_secs_f64() * 1e3);
        }
    }
    Ok(Times { timing, rounds, rows })
}

/// The timing in two lines, and a table that is Markdown too.
pub(crate) fn text(times: &Times) -> String {
    let Times { timing, rounds, .. } = times;
    let versions = machine::versions(timing.crates);
    let head = format!("{}: {}\n{rounds} rounds {versions}\n\n", timing.name, timing.about);
    let mut lines = vec![["what", "median ms", "min ms", "max ms"].map(str::to_owned).to_vec()];
    for (name, Spread { median, min, max }) in times.spreads() {
        lines.push(vec![name.to_owned(), millis(median), millis(min), millis(max)]);
    }
    head + &aligned(&lines)
}

/// One object per row.
pub(crate) fn json(times: &Times) -> Vec<Value> {
    let object = |(name, Spread { median, min, max })| {
        json!({
            "timing": times.timing.name, "about": times.timing.about, "what": name, "rounds": times.rounds,
            "versions": machine::versions(times.timing.crates),
            "median_ms": median, "min_ms": min, "max_ms": max,
        })
    };
    times.spreads().map(object).collect()
}

impl Times {
    fn spreads(&self) -> impl Iterator<Item = (&'static str, Spread)> {
        self.rows.iter().filter_map(|(name, times)| Some((*name, spread(times.iter().copied())?)))
    }
}

fn millis(millis: f64) -> String {
    format!("{millis:.1}")
}
