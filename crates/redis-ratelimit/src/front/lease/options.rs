use std::time::Duration;

/// How many units are taken ahead, and for how long.
///
/// So many as a process spends in 10 ms, no more than [`units`](Self::units), twice what it spent since it asked last, and
/// `remaining / 2` over all [processes](crate::FrontOptions::processes). So an id that is asked for less than some 200 times a second, and
/// the last units of a quota, are not leased: they stay exact.
///
/// Over `n` processes no more than `burst + n * units + limit * t / period` are admitted in any span `t`: the long-run rate is that of
/// the quota. What a process holds and does not spend is lacking elsewhere until it gives it back: after [`time`](Self::time), or when
/// the limiter is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseOptions {
    /// How many units of an id to hold at most; at least 2. Default: 100.
    pub units: u64,
    /// How long after they were asked for units may be spent; 1 ms to 60 s. Default: 200 ms.
    pub time: Duration,
    /// For how many ids, up to 2^24; beyond that whoever was asked for longest ago gives back what it has. Default: 10,000.
    pub ids: usize,
}

impl Default for LeaseOptions {
    fn default() -> Self {
        Self { units: 100, time: Duration::from_millis(200), ids: 10_000 }
    }
}

impl LeaseOptions {
    /// Sets [`units`](Self::units).
    #[must_use]
    pub fn units(mut self, units: u64) -> Self {
        self.units = units;
        self
    }

    /// Sets [`time`](Self::time).
    #[must_use]
    pub fn time(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// Sets [`ids`](Self::ids).
    #[must_use]
    pub fn ids(mut self, ids: usize) -> Self {
        self.ids = ids;
        self
    }
}
