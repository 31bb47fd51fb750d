//! A report as a table, and as JSON.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::machine;
use crate::role::role;
use crate::round::{Report, Row, Turn};
use crate::stats::Spread;

/// The scenario in three lines, and a table that is Markdown too.
pub(crate) fn text(report: &Report) -> String {
    let scenario = report.scenario;
    let mut text = format!("{}: {}\n", scenario.name, scenario.about);
    text.push_str(&format!("{} rounds of {:?} each; {}\n", report.rounds, report.time, report.pinning));
    text.push_str(&format!("{}\n\n", machine::versions(scenario.crates)));
    let Some(floor) = report.rows.first() else { return text };
    let figures = figures(report);
    let (beside, under) = if figures.len() > FEW { (&[][..], &figures[..]) } else { (&figures[..], &[][..]) };
    let mut lines = vec![
        ["contender", "ratio", "ops/s", "p50 us", "p99 us", "client cpu us/op", "server cpu us/op", "in scripts"]
            .into_iter()
            .chain(beside.iter().copied())
            .chain(["commands per op"])
            .map(str::to_owned)
            .collect::<Vec<_>>(),
    ];
    for row in &report.rows {
        let mut line = vec![
            row.contender.to_owned(),
            row.ratio(floor).map_or_else(dash, |ratio| wide(ratio, |value| format!("{value:.3}"))),
            row.spread(|turn| Some(turn.ops_per_s)).map_or_else(dash, |speed| wide(speed, number)),
        ];
        let cell = |value: fn(&Turn) -> Option<f64>| row.median(value).map_or_else(dash, number);
        line.extend([cell(|turn| turn.p50_us), cell(|turn| turn.p99_us)]);
        line.extend([
            cell(|turn| turn.client_us),
            cell(|turn| Some(turn.server_us)),
            cell(|turn| Some(turn.script_us)),
        ]);
        line.extend(beside.iter().map(|name| figure(row, name).map_or_else(dash, number)));
        let each = commands(row).into_iter().map(|(name, count)| format!("{name} {}", number(count)));
        line.push(each.collect::<Vec<_>>().join(", "));
        lines.push(line);
    }
    text.push_str(&aligned(&lines));
    if !under.is_empty() {
        text.push_str(&format!("\n{}", spreads(report, under)));
    }
    text
}

/// More figures than this stand in a table of their own.
const FEW: usize = 2;

/// The figures with the rounds that are farthest apart.
fn spreads(report: &Report, names: &[&'static str]) -> String {
    let mut lines = vec![["contender"].iter().chain(names).map(|name| (*name).to_owned()).collect::<Vec<_>>()];
    for row in &report.rows {
        let cell = |name: &&str| row.spread(|turn| turn.figure(name)).map_or_else(dash, |spread| wide(spread, precise));
        lines.push([row.contender.to_owned()].into_iter().chain(names.iter().map(cell)).collect());
    }
    aligned(&lines)
}

/// One object per row.
pub(crate) fn json(report: &Report) -> Vec<Value> {
    let Some(floor) = report.rows.first() else { return Vec::new() };
    let object = |row: &Row| {
        let figures: BTreeMap<_, _> = figures(report).into_iter().map(|name| (name, figure(row, name))).collect();
        json!({
            "scenario": report.scenario.name, "about": report.scenario.about,
            "contender": row.contender, "role": role(row.contender), "less_of": report.scenario.less_of,
            "rounds": report.rounds, "seconds": report.time.as_secs_f64(), "pinning": report.pinning,
            "versions": machine::versions(report.scenario.crates),
            "ratio": row.ratio(floor).map(object), "ops_per_s": row.spread(|turn| Some(turn.ops_per_s)).map(object),
            "p50_us": row.median(|turn| turn.p50_us), "p99_us": row.median(|turn| turn.p99_us),
            "client_cpu_us": row.median(|turn| turn.client_us), "server_cpu_us": row.median(|turn| Some(turn.server_us)),
            "script_us": row.median(|turn| Some(turn.script_us)),
            "figures": figures, "commands": commands(row),
        })
    };
    report.rows.iter().map(object).collect()
}

fn object(spread: Spread) -> Value {
    json!({ "median": spread.median, "min": spread.min, "max": spread.max })
}

/// The names of all figures in the report, in the order in which they come.
fn figures(report: &Report) -> Vec<&'static str> {
    let turns = report.rows.iter().flat_map(|row| &row.turns);
    let mut names = Vec::new();
    for (name, _) in turns.flat_map(|turn| &turn.figures) {
        if !names.contains(name) {
            names.push(*name);
        }
    }
    names
}

fn figure(row: &Row, name: &str) -> Option<f64> {
    row.median(|turn| turn.figure(name))
}

/// The median of each command; a turn without it counts as none.
fn commands(row: &Row) -> BTreeMap<&str, f64> {
    let names: BTreeSet<&str> = row.turns.iter().flat_map(|turn| turn.commands.keys().map(String::as_str)).collect();
    let median = |name| row.median(|turn| Some(turn.commands.get(name).copied().unwrap_or_default()));
    names.into_iter().filter_map(|name| Some((name, median(name)?))).collect()
}

fn dash() -> String {
    "-".to_owned()
}

fn wide(spread: Spread, show: impl Fn(f64) -> String) -> String {
    format!("{} ({}..{})", show(spread.median), show(spread.min), show(spread.max))
}

/// Three digits, or all before the point.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Three digits after the point where a ratio may be near to one.
pub(crate) fn precise(value: f64) -> String {
    if value.abs() < 10.0 { format!("{value:.3}") } else { number(value) }
}

/// Cells padded to the widest of their column, under a head.
pub(crate) fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let row = |cells: &[String]| {
        let padded: Vec<_> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("| {} |\n", padded.join(" | "))
    };
    let rule = widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>();
    let mut rows: Vec<String> = lines.iter().map(|line| row(line)).collect();
    rows.insert(1.min(rows.len()), row(&rule));
    rows.concat()
}

#[cfg(test)]
mod tests {
    use super::{aligned, number};

    #[test]
    fn cells_stand_under_their_head() {
        let lines = [["a", "bc"], ["def", "g"]].map(|line| line.map(str::to_owned).to_vec());
        assert_eq!(aligned(&lines), "| a   | bc |\n| --- | -- |\n| def | g  |\n");
    }

    #[test]
    fn numbers_have_three_digits() {
        assert_eq!([0.5, 1.0, 22.16, 123.4, 45_678.9].map(number), ["0.50", "1.00", "22.2", "123", "45679"]);
    }
}
