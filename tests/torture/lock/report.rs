use super::{ask::Ask, history::History};
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
        let asks = &self.history.asks;
        let count = |which: &dyn Fn(&Ask) -> bool| asks.values().filter(|ask| which(ask)).count();
        let rows = [
            ("asked", asks.len()),
            ("acquired", count(&|ask| ask.granted.is_some())),
            ("kept in a manager", self.history.kept()),
            ("valid no more", count(&|ask| ask.releasing.is_some_and(|at| at > ask.valid_until))),
            ("told of a loss", count(&|ask| ask.lost)),
            ("cancelled", count(&|ask| ask.cancelled)),
            ("writes", asks.values().map(|ask| ask.wrote.len()).sum()),
            ("writes perhaps", asks.values().map(|ask| ask.maybe_wrote() as usize).sum()),
            ("processes", self.history.lives.len()),
            ("faults", self.history.faults.len()),
        ];
        for (name, value) in rows {
            writeln!(f, "  {name:<20}{value}")?;
        }
        writeln!(f, "  {:<20}{} ms", "worst stall", self.history.stall / 1000)?;
        tell(&self.breaches, f)
    }
}
