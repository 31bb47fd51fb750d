use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// How long a read of the database takes.
pub(super) const LATENCY: Duration = Duration::from_millis(10);

/// A database of prices that counts who reads it, and can be taken down.
#[derive(Clone, Default)]
pub(super) struct Source(Arc<State>);

#[derive(Default)]
struct State {
    price: AtomicU64,
    is_down: AtomicBool,
    running: AtomicU64,
    most: AtomicU64,
    began: Mutex<Vec<Instant>>,
}

impl Source {
    /// Loads a price; there is none for what is absent.
    pub(super) async fn load(self, id: String) -> io::Result<Option<u64>> {
        self.0.began.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
        let running = self.0.running.fetch_add(1, SeqCst) + 1;
        self.0.most.fetch_max(running, SeqCst);
        let price = self.0.price.load(SeqCst);
        sleep(LATENCY).await;
        self.0.running.fetch_sub(1, SeqCst);
        if self.0.is_down.load(SeqCst) {
            return Err(io::Error::other("the database is down"));
        }
        Ok((!id.starts_with("absent")).then_some(price))
    }

    pub(super) fn set_price(&self, price: u64) {
        self.0.price.store(price, SeqCst);
    }

    pub(super) fn take_down(&self) {
        self.0.is_down.store(true, SeqCst);
    }

    pub(super) fn loads(&self) -> u64 {
        self.0.began.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }

    /// The most loads that ran at the same time.
    pub(super) fn most_at_once(&self) -> u64 {
        self.0.most.load(SeqCst)
    }

    /// The most loads that began within so much time, from this moment on.
    pub(super) fn most_within(&self, time: Duration, since: Instant) -> u64 {
        let mut began = self.0.began.lock().unwrap_or_else(PoisonError::into_inner).clone();
        began.retain(|at| *at >= since);
        began.sort_unstable();
        let within = |from: usize| began[from..].partition_point(|at| *at - began[from] < time);
        (0..began.len()).map(within).max().unwrap_or_default() as u64
    }
}
