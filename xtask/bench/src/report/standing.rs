//! Where we stand in each scenario.

use super::{Chapter, Row, Run};
use crate::role::Role;
use crate::table::{aligned, number, precise};

/// Closer than this is no win.
const TIE: f64 = 0.05;

/// The first row, ours and the best of the others, of one scenario.
pub(super) struct Standing<'a> {
    pub(super) scenario: &'a str,
    pub(super) floor: &'a Row,
    pub(super) ours: Option<&'a Row>,
    pub(super) peer: Option<&'a Row>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Winner {
    Ours,
    Peer,
    Tie,
    /// Nobody else is in it.
    Alone,
}

impl<'a> Standing<'a> {
    pub(super) fn of(chapter: &'a Chapter<Row>) -> Option<Self> {
        let best = |role| {
            let rows = chapter.rows.iter().filter(move |row| row.role == role && row.ratio.is_some());
            rows.max_by(|one, other| one.merit().total_cmp(&other.merit()))
        };
        let floor = chapter.rows.first()?;
        Some(Self { scenario: &floor.scenario, floor, ours: best(Role::Ours), peer: best(Role::Peer) })
    }

    /// How many times as good we are as the best of the others.
    pub(super) fn lead(&self) -> Option<f64> {
        let (ours, theirs) = (self.ours?.merit(), self.peer?.merit());
        // Both have nothing of what is better not had.
        Some(if ours == theirs { 1.0 } else { ours / theirs })
    }

    pub(super) fn winner(&self) -> Winner {
        match self.lead() {
            None => Winner::Alone,
            Some(lead) if lead > 1.0 + TIE => Winner::Ours,
            Some(lead) if lead < 1.0 - TIE => Winner::Peer,
            Some(_) => Winner::Tie,
        }
    }
}

impl Winner {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Peer => "theirs",
            Self::Tie => "tie",
            Self::Alone => "",
        }
    }
}

/// One line for each scenario and timing.
pub(super) fn markdown(run: &Run) -> String {
    let head = ["scenario", "the first row", "ours", "to the first row", "best other", "to the first row", "better"];
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    for standing in run.scenarios.iter().filter_map(Standing::of) {
        let ratio = |row: &Row| match (row.judged(), row.ratio) {
            (Some((name, figure)), _) => format!("{} {name}", number(figure)),
            (None, Some(ratio)) => {
                format!("{} ({}..{})", precise(ratio.median), precise(ratio.min), precise(ratio.max))
            }
            (None, None) => String::new(),
        };
        let name = |row: Option<&Row>| row.map_or_else(String::new, |row| row.contender.clone());
        let told = |row: Option<&Row>| row.map(ratio).unwrap_or_default();
        lines.push(vec![
            standing.scenario.to_owned(),
            standing.floor.contender.clone(),
            name(standing.ours),
            told(standing.ours),
            name(standing.peer),
            told(standing.peer),
            standing.winner().word().to_owned(),
        ]);
    }
    let mut text = aligned(&lines);
    let mut lines = vec![["timing", "what", "median ms", "min ms", "max ms"].map(str::to_owned).to_vec()];
    for row in run.timings.iter().flat_map(|chapter| &chapter.rows) {
        let millis = [row.median_ms, row.min_ms, row.max_ms].map(|millis| format!("{millis:.1}"));
        lines.push([row.timing.clone(), row.what.clone()].into_iter().chain(millis).collect());
    }
    if lines.len() > 1 {
        text.push_str(&format!("\n{}", aligned(&lines)));
    }
    text
}

/// Who is better in either run, and whether that is the same; a tie in one is no contradiction.
pub(super) fn compare(one: &Run, other: &Run) -> (String, bool) {
    let mut lines = vec![["scenario", "one", "other", ""].map(str::to_owned).to_vec()];
    let mut agree = true;
    for standing in one.scenarios.iter().filter_map(Standing::of) {
        let same = |chapter: &&Chapter<Row>| chapter.rows.first().is_some_and(|row| row.scenario == standing.scenario);
        let Some(again) = other.scenarios.iter().find(same).and_then(Standing::of) else { continue };
        let (first, second) = (standing.winner(), again.winner());
        let differ = first != second && ![first, second].contains(&Winner::Tie);
        agree &= !differ;
        let told = |standing: &Standing<'_>| {
            let lead = standing.lead().map_or_else(String::new, |lead| format!(" {lead:.2}"));
            format!("{}{lead}", standing.winner().word())
        };
        let word = if differ { "differ" } else { "" };
        lines.push(vec![standing.scenario.to_owned(), told(&standing), told(&again), word.to_owned()]);
    }
    (aligned(&lines), agree)
}
