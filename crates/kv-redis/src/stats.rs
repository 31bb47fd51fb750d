use std::sync::atomic::{AtomicU64, Ordering};

/// What a store's connections have been through since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Connections opened.
    pub connected: u64,
    /// Attempts to connect that failed.
    pub connect_failed: u64,
    /// Connections given up: lost, silent, or leading to a server that was demoted.
    pub retired: u64,
    /// Calls a cluster sent on to another node (`MOVED`, `ASK`).
    pub redirected: u64,
    /// Times the map of a cluster was read.
    pub refreshed: u64,
    /// Calls that had to wait for a connection of a pool or of the blocking lanes.
    pub waited: u64,
    /// Calls that waited for one in vain.
    pub wait_failed: u64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Counter {
    Connected,
    ConnectFailed,
    Retired,
    Redirected,
    Refreshed,
    Waited,
    WaitFailed,
}

/// The counters behind [`Stats`], told to `metrics` as well under the feature `obs`.
#[derive(Debug, Default)]
pub(crate) struct Counters([AtomicU64; 7]);

impl Counters {
    pub(crate) fn count(&self, counter: Counter) {
        if let Some(count) = self.0.get(counter as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        #[cfg(feature = "obs")]
        metrics::counter!("kv_redis_events_total", "event" => counter.name()).increment(1);
    }

    pub(crate) fn snapshot(&self) -> Stats {
        let [connected, connect_failed, retired, redirected, refreshed, waited, wait_failed] =
            std::array::from_fn(|at| self.0.get(at).map_or(0, |count| count.load(Ordering::Relaxed)));
        Stats { connected, connect_failed, retired, redirected, refreshed, waited, wait_failed }
    }
}

#[cfg(feature = "obs")]
impl Counter {
    fn name(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::ConnectFailed => "connect_failed",
            Self::Retired => "retired",
            Self::Redirected => "redirected",
            Self::Refreshed => "refreshed",
            Self::Waited => "waited",
            Self::WaitFailed => "wait_failed",
        }
    }
}
