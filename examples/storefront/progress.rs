//! How far a run is, on standard error.

use crate::tally::{Figure, Tally};
use anyhow::Result;
use std::{
    io::{IsTerminal, Write, stderr},
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, interval};

const WIDTH: usize = 24;

/// A bar that is drawn over itself on a terminal, and a line every few seconds elsewhere.
pub(crate) struct Progress {
    requests: u64,
    time: Option<Duration>,
    began: Instant,
    terminal: bool,
}

impl Progress {
    /// Towards so many requests or so much time, whichever comes first.
    pub(crate) fn new(requests: u64, time: Option<Duration>) -> Self {
        Self { requests, time, began: Instant::now(), terminal: stderr().is_terminal() }
    }

    /// Shows the figures as they are from time to time, until the work is done.
    pub(crate) async fn watch(
        &self,
        work: impl Future<Output = Result<()>>,
        current: impl Fn() -> Result<Arc<Tally>>,
    ) -> Result<()> {
        let mut ticks = interval(if self.terminal { Duration::from_millis(200) } else { Duration::from_secs(5) });
        // The first tick is at once.
        ticks.tick().await;
        tokio::pin!(work);
        let outcome = loop {
            tokio::select! {
                outcome = &mut work => break outcome,
                _ = ticks.tick() => self.show(current()?.as_ref()),
            }
        };
        if self.terminal {
            self.write("\r\x1B[K");
        }
        outcome
    }

    fn show(&self, tally: &Tally) {
        let (requests, seconds) = (tally.get(Figure::Requests), self.began.elapsed().as_secs_f64());
        let done = (requests as f64 / self.requests as f64)
            .max(self.time.map_or(0.0, |time| seconds / time.as_secs_f64()))
            .min(1.0);
        let figures = format!(
            "{:3.0} %  {requests} requests, {:.0}/s, {:.1} % hits, {} database loads, {} denied",
            done * 100.0,
            requests as f64 / seconds,
            100.0 * tally.get(Figure::Hits) as f64 / tally.get(Figure::Served).max(1) as f64,
            tally.get(Figure::DatabaseLoads),
            tally.get(Figure::Denied),
        );
        if self.terminal {
            let full = (done * WIDTH as f64) as usize;
            self.write(&format!("\r[{}{}] {figures}\x1B[K", "=".repeat(full), " ".repeat(WIDTH - full)));
        } else {
            self.write(&format!("{figures}\n"));
        }
    }

    /// A run does not fail because nobody watches.
    fn write(&self, text: &str) {
        let _ = stderr().write_all(text.as_bytes());
    }
}
