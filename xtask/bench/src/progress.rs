//! What is going on, on stderr.

use std::io::{IsTerminal, Write, stderr};

/// Which of how many scenarios it is.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) at: usize,
    pub(crate) of: usize,
}

const WIDTH: usize = 24;

/// One line: rewritten on a terminal, printed once per round elsewhere.
pub(crate) struct Progress {
    scenario: &'static str,
    rounds: usize,
    place: Place,
    terminal: bool,
    shown: Option<usize>,
}

impl Progress {
    pub(crate) fn new(scenario: &'static str, rounds: usize, place: Place) -> Self {
        Self { scenario, rounds, place, terminal: stderr().is_terminal(), shown: None }
    }

    pub(crate) fn show(&mut self, round: usize, contender: &str) {
        let Place { at, of } = self.place;
        let full = WIDTH * (at * self.rounds + round) / (of * self.rounds).max(1);
        let bar = format!("[{}{}] {} of {of}", "=".repeat(full), " ".repeat(WIDTH - full), at + 1);
        let line = format!("{bar}  {}: round {} of {}", self.scenario, round + 1, self.rounds);
        if self.terminal {
            eprint!("\r{line}, {contender}\x1b[K");
            // Progress nobody sees is no reason to stop.
            let _ = stderr().flush();
        } else if self.shown.replace(round) != Some(round) {
            eprintln!("{line}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.terminal {
            eprint!("\r\x1b[K");
        }
    }
}
