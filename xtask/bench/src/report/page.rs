//! The page: what is faster at a glance, then each scenario with its bars, and all figures for those who ask.

use serde_json::Value;

use super::plot::{Bar, Lead, bars, class, escaped, leads};
use super::standing::{Standing, Winner};
use super::{Chapter, Row, Run, Span, Timed};
use crate::role::{Role, role};
use crate::table::{number, precise};

pub(super) fn html(run: &Run) -> String {
    let mut body = String::from("<h1>Benchmarks</h1>");
    body.push_str(&machine(&run.machine));
    body.push_str(include_str!("legend.html"));
    body.push_str(&overview(run));
    run.scenarios.iter().for_each(|chapter| body.push_str(&scenario(chapter)));
    run.timings.iter().for_each(|chapter| body.push_str(&timing(chapter)));
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Benchmarks</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{}</style></head><body>{body}</body></html>\n",
        include_str!("page.css")
    )
}

fn machine(machine: &Value) -> String {
    let said = |field: &str| {
        machine
            .get(field)
            .map_or_else(String::new, |value| escaped(&value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
    };
    format!(
        "<p class=\"machine\">{}, {} cores · {} · {} · {} · load before {}</p>",
        said("cpu"),
        said("cores"),
        said("system"),
        said("server"),
        said("rustc"),
        said("load")
    )
}

fn overview(run: &Run) -> String {
    let standings: Vec<_> = run.scenarios.iter().filter_map(Standing::of).collect();
    let count = |winner| standings.iter().filter(|standing| standing.winner() == winner).count();
    let (ours, theirs, tie) = (count(Winner::Ours), count(Winner::Peer), count(Winner::Tie));
    format!(
        "<h2>To the best of the others</h2><p>Better in {ours} scenarios, worse in {theirs}, within 5 % in {tie}. How \
         many times as good as the best of the others, by speed or by what the scenario is about:</p><div class=\"plot\">{}</div>",
        plot(&standings)
    )
}

/// A bar for each scenario in which there are others: how many times as good we are as the best of them.
fn plot(standings: &[Standing<'_>]) -> String {
    let all = standings.iter().filter_map(|standing| {
        let name = format!("{} / {}", standing.scenario, standing.peer?.contender);
        let role = if standing.winner() == Winner::Peer { Role::Peer } else { Role::Ours };
        Some(Lead { name, role, times: standing.lead()? })
    });
    leads(&all.collect::<Vec<_>>())
}

/// The same as a picture by itself.
pub(super) fn picture(run: &Run) -> String {
    let standings: Vec<_> = run.scenarios.iter().filter_map(Standing::of).collect();
    let style = format!("<style>{} svg {{ font: 12px system-ui, sans-serif; }}</style>", include_str!("page.css"));
    let plot = plot(&standings);
    let (head, body) = plot.split_once('>').unwrap_or_default();
    format!("{head} xmlns=\"http://www.w3.org/2000/svg\">{style}{body}\n")
}

fn scenario(chapter: &Chapter<Row>) -> String {
    let Some(first) = chapter.rows.first() else { return String::new() };
    let plotted = chapter.rows.iter().filter_map(|row| {
        let (span, label) = match row.judged() {
            Some((_, figure)) => (Span { median: figure, min: figure, max: figure }, number(figure)),
            None => {
                let span = row.ratio?;
                (span, format!("{} ({}..{})", precise(span.median), precise(span.min), precise(span.max)))
            }
        };
        Some(Bar { name: row.contender.clone(), role: row.role, span, label })
    });
    let line = first.less_of.is_none().then_some(1.0);
    let plot = bars(&plotted.collect::<Vec<_>>(), line);
    let measure = first
        .less_of
        .as_ref()
        .map_or_else(String::new, |name| format!(" Bars: {}, the less the better.", escaped(name)));
    let name = escaped(&first.scenario);
    format!(
        "<h2 id=\"{name}\">{name}</h2><p>{}.{measure}</p><div class=\"plot\">{plot}</div><details><summary>all figures</summary>\
         <p class=\"machine\">{} rounds of {} s; {}; {}</p>{}</details>",
        escaped(&first.about),
        first.rounds,
        first.seconds,
        escaped(&first.pinning),
        escaped(&first.versions),
        table(&chapter.rows),
    )
}

fn table(rows: &[Row]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in rows.iter().flat_map(|row| row.figures.keys()) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let head = ["", "ops/s", "p50 µs", "p99 µs", "client CPU µs/op", "server CPU µs/op"];
    let head = head.iter().chain(&names).chain(&["commands per op"]).map(|name| format!("<th>{}</th>", escaped(name)));
    let mut text = format!("<table><tr>{}</tr>", head.collect::<String>());
    for row in rows {
        let told = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), number);
        let speed = row.ops_per_s.map(|speed| speed.median);
        let figure = |name: &&str| told(row.figures.get(*name).copied().flatten());
        let commands = row.commands.iter().map(|(name, count)| format!("{} {}", escaped(name), number(*count)));
        let cells = [speed, row.p50_us, row.p99_us, row.client_cpu_us, row.server_cpu_us].map(told).into_iter();
        let cells = cells.chain(names.iter().map(figure)).chain([commands.collect::<Vec<_>>().join(", ")]);
        let cells: String = cells.map(|cell| format!("<td>{cell}</td>")).collect();
        text.push_str(&format!("<tr><th class=\"{}\">{}</th>{cells}</tr>", class(row.role), escaped(&row.contender)));
    }
    text + "</table>"
}

fn timing(chapter: &Chapter<Timed>) -> String {
    let Some(first) = chapter.rows.first() else { return String::new() };
    let bar = |row: &Timed| Bar {
        name: row.what.clone(),
        role: role(&row.what),
        span: Span { median: row.median_ms, min: row.min_ms, max: row.max_ms },
        label: format!("{:.1} ms ({:.1}..{:.1})", row.median_ms, row.min_ms, row.max_ms),
    };
    let plot = bars(&chapter.rows.iter().map(bar).collect::<Vec<_>>(), None);
    let (name, about) = (escaped(&first.timing), escaped(&first.about));
    format!("<h2 id=\"{name}\">{name}</h2><p>{about}; {} rounds</p><div class=\"plot\">{plot}</div>", first.rounds)
}
