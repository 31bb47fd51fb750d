//! All of a run as files: lines of JSON for machines, a table in Markdown, and a page that needs nothing else.

mod page;
mod plot;
mod standing;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::role::Role;

/// The files of a run, written as it goes.
pub(crate) struct Report {
    folder: PathBuf,
    lines: Vec<Value>,
}

/// A row of a table, as it is in the lines.
#[derive(Clone, Debug, Deserialize)]
struct Row {
    scenario: String,
    about: String,
    contender: String,
    role: Role,
    /// The figure of which less is better, where that is what it is about; elsewhere speed is.
    less_of: Option<String>,
    pinning: String,
    rounds: usize,
    seconds: f64,
    versions: String,
    ratio: Option<Span>,
    ops_per_s: Option<Span>,
    p50_us: Option<f64>,
    p99_us: Option<f64>,
    client_cpu_us: Option<f64>,
    server_cpu_us: Option<f64>,
    figures: BTreeMap<String, Option<f64>>,
    commands: BTreeMap<String, f64>,
}

impl Row {
    /// What the scenario is about, where that is not speed.
    fn judged(&self) -> Option<(&str, f64)> {
        let name = self.less_of.as_deref()?;
        Some((name, (*self.figures.get(name)?)?))
    }

    /// The more the better.
    fn merit(&self) -> f64 {
        match (&self.less_of, self.judged()) {
            (None, _) => self.ratio.map_or(0.0, |ratio| ratio.median),
            (Some(_), Some((_, figure))) => figure.recip(),
            (Some(_), None) => 0.0,
        }
    }
}

/// A row of what is measured by the clock.
#[derive(Clone, Debug, Deserialize)]
struct Timed {
    timing: String,
    about: String,
    what: String,
    rounds: usize,
    median_ms: f64,
    min_ms: f64,
    max_ms: f64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Span {
    median: f64,
    min: f64,
    max: f64,
}

/// What there is to show: a scenario or a timing, with its rows.
struct Chapter<R> {
    rows: Vec<R>,
}

const LINES: &str = "rows.jsonl";

impl Report {
    /// A report in this folder, beginning with the line for the machine.
    pub(crate) fn begin(folder: &Path, machine: Value) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        fs::write(folder.join(LINES), "")?;
        let mut report = Self { folder: folder.to_owned(), lines: Vec::new() };
        report.add(&[machine])?;
        Ok(report)
    }

    /// Adds lines, so that a run that is ended leaves what it has.
    pub(crate) fn add(&mut self, lines: &[Value]) -> Result<()> {
        let mut file = fs::OpenOptions::new().append(true).open(self.folder.join(LINES))?;
        for line in lines {
            writeln!(file, "{line}")?;
        }
        self.lines.extend_from_slice(lines);
        Ok(())
    }

    /// Writes the page and the table, and says where they are.
    pub(crate) fn end(&self) -> Result<String> {
        let run = Run::of(&self.lines)?;
        fs::write(self.folder.join("report.html"), page::html(&run))?;
        fs::write(self.folder.join("report.md"), standing::markdown(&run))?;
        fs::write(self.folder.join("overview.svg"), page::picture(&run))?;
        Ok(format!("{}/report.html, report.md, overview.svg and {LINES}", self.folder.display()))
    }
}

/// Makes the page and the table anew from the lines of a folder.
pub(crate) fn again(folder: &Path) -> Result<String> {
    let lines = lines(folder)?;
    Report { folder: folder.to_owned(), lines }.end()
}

/// Whether two runs agree on who wins, and where not.
pub(crate) fn compare(one: &Path, other: &Path) -> Result<(String, bool)> {
    let (one, other) = (lines(one)?, lines(other)?);
    Ok(standing::compare(&Run::of(&one)?, &Run::of(&other)?))
}

fn lines(folder: &Path) -> Result<Vec<Value>> {
    let path = folder.join(LINES);
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

/// A run, in the order in which it was measured.
struct Run {
    machine: Value,
    scenarios: Vec<Chapter<Row>>,
    timings: Vec<Chapter<Timed>>,
}

impl Run {
    fn of(lines: &[Value]) -> Result<Self> {
        let (machine, rows) = lines.split_first().context("nothing was measured")?;
        let of = |field: &str| rows.iter().filter(|row| row.get(field).is_some()).cloned().collect::<Vec<_>>();
        Ok(Self {
            machine: machine.clone(),
            scenarios: chapters(of("scenario"), |row: &Row| row.scenario.clone())?,
            timings: chapters(of("timing"), |row: &Timed| row.timing.clone())?,
        })
    }
}

fn chapters<R: for<'de> Deserialize<'de>>(rows: Vec<Value>, name: impl Fn(&R) -> String) -> Result<Vec<Chapter<R>>> {
    let mut chapters: Vec<Chapter<R>> = Vec::new();
    for row in rows {
        let row: R = serde_json::from_value(row)?;
        match chapters.last_mut().filter(|chapter| chapter.rows.first().map(&name) == Some(name(&row))) {
            Some(chapter) => chapter.rows.push(row),
            None => chapters.push(Chapter { rows: vec![row] }),
        }
    }
    Ok(chapters)
}
