//! What is going on, on stderr.

use std::io::{IsTerminal, Write, stderr};

/// One line: rewritten on a terminal, printed once per round elsewhere.
pub(crate) struct Progress {
    scenario: &'static str,
    rounds: usize,
    terminal: bool,
    shown: Option<usize>,
}

impl Progress {
    pub(crate) fn new(scenario: &'static str, rounds: usize) -> Self {
        Self { scenario, rounds, terminal: stderr().is_terminal(), shown: None }
    }

    pub(crate) fn show(&mut self, round: usize, contender: &str) {
        let line = format!("{}: round {} of {}", self.scenario, round + 1, self.rounds);
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
