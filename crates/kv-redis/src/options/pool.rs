use super::from_now;
use std::time::Duration;
use tokio::time::Instant;

/// The size of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolOptions {
    /// Connections opened at the start and kept. Default: 1.
    pub min: usize,
    /// The most connections; more calls wait, first come, first served. Default: 16.
    pub max: usize,
    /// The longest a call waits for a connection, within its deadline. Default: 500 ms.
    pub acquire_timeout: Duration,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self { min: 1, max: 16, acquire_timeout: Duration::from_millis(500) }
    }
}

impl PoolOptions {
    /// Sets [`min`](Self::min).
    #[must_use]
    pub fn min(mut self, connections: usize) -> Self {
        self.min = connections;
        self
    }

    /// Sets [`max`](Self::max).
    #[must_use]
    pub fn max(mut self, connections: usize) -> Self {
        self.max = connections;
        self
    }

    /// Sets [`acquire_timeout`](Self::acquire_timeout).
    #[must_use]
    pub fn acquire_timeout(mut self, timeout: Duration) -> Self {
        self.acquire_timeout = timeout;
        self
    }

    /// When a wait for a connection ends, of a call that ends by then.
    pub(crate) fn by(self, by: Instant) -> Instant {
        from_now(self.acquire_timeout).min(by)
    }
}
