use super::{Kind, history::History};
use crate::breaches::tell;
use std::fmt;

/// How it went.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) history: History,
    pub(crate) breaches: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let history = &self.history;
        let by = |kind| history.reads.iter().filter(|read| read.kind == kind).count() as u64;
        let rows = [
            ("reads by the store", by(Kind::Store)),
            ("near", by(Kind::Near)),
            ("near and tracked", by(Kind::Tracked)),
            ("kept near, at least", history.near_hits),
            ("failed", history.failed),
            ("invalidated", history.told.len() as u64),
            ("processes", history.lives.len() as u64),
            ("faults", history.faults.len() as u64),
        ];
        for (name, value) in rows {
            writeln!(f, "  {name:<20}{value}")?;
        }
        writeln!(f, "  {:<20}{} ms", "worst stall", history.stall / 1000)?;
        tell(&self.breaches, f)
    }
}
