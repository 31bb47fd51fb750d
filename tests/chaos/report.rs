use crate::{call::Run, play::REPLICATION, topology::Topology};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// How one topology has done.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) topology: Topology,
    pub(crate) run: Arc<Run>,
    pub(crate) faults: usize,
    pub(crate) connected: u64,
    pub(crate) gaps: usize,
    /// Increments that have to be there, and all that were acknowledged.
    pub(crate) checked: (u64, u64),
    /// Elements lost, and how many may be.
    pub(crate) elements: (usize, usize),
    /// The worst of all calls, over its deadline.
    pub(crate) over: Duration,
    /// The worst of plain sleeps.
    pub(crate) sleep: Duration,
    pub(crate) recoveries: (Duration, Duration),
    pub(crate) breaches: Vec<String>,
}

/// So many of the breaches are told.
const SHOWN: usize = 20;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = &self.run.counts;
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed).to_string();
        let millis = |time: Duration| format!("{} ms", time.as_millis());
        let rows = [
            ("calls", count(&counts.calls)),
            ("acknowledged", count(&counts.done)),
            ("not executed", count(&counts.no)),
            ("maybe executed", count(&counts.maybe)),
            ("left by their caller", count(&counts.dropped)),
            ("increments checked", format!("{} of {}", self.checked.0, self.checked.1)),
            ("worst over deadline", format!("{}, a plain sleep {}", millis(self.over), millis(self.sleep))),
            ("recovery", format!("{} median, {} at most", millis(self.recoveries.0), millis(self.recoveries.1))),
            ("connections opened", self.connected.to_string()),
            ("gaps told", self.gaps.to_string()),
            ("elements lost", format!("{} of {} that may be", self.elements.0, self.elements.1)),
            ("faults", self.faults.to_string()),
        ];
        writeln!(f, "{}", self.topology.name())?;
        for (name, value) in rows {
            writeln!(f, "  {name:<22}{value}")?;
        }
        if matches!(self.topology, Topology::Cluster | Topology::Sentinel) {
            writeln!(
                f,
                "  writes acknowledged up to {REPLICATION:?} before a master dies, and until all agree, may be lost"
            )?;
        }
        if self.breaches.is_empty() {
            return writeln!(f, "  ok");
        }
        for breach in self.breaches.iter().take(SHOWN) {
            writeln!(f, "  breach: {breach}")?;
        }
        let more = self.breaches.len().saturating_sub(SHOWN);
        if more > 0 { writeln!(f, "  and {more} more") } else { Ok(()) }
    }
}
