//! What happened, as numbers.

use crate::shop::Shop;
use axum::{
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::Response,
};
use std::{
    fmt::Write,
    mem::take,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

#[derive(Default)]
pub(crate) struct Meter {
    requests: AtomicU64,
    denials: AtomicU64,
    pub(crate) handovers: AtomicU64,
    pub(crate) overlaps: AtomicU64,
    /// Writes that came too late for their fencing token.
    pub(crate) refused: AtomicU64,
    /// Of those who were served since the last time somebody looked.
    latencies: Mutex<Vec<Duration>>,
}

/// All since the start.
#[derive(Clone, Copy, Default)]
pub(crate) struct Totals {
    pub(crate) requests: u64,
    pub(crate) hits: u64,
    pub(crate) loads: u64,
    pub(crate) denials: u64,
    pub(crate) handovers: u64,
    pub(crate) overlaps: u64,
    pub(crate) refused: u64,
}

/// Counts a request and takes its time, around all guards.
pub(crate) async fn measure(State(meter): State<Arc<Meter>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let response = next.run(request).await;
    meter.requests.fetch_add(1, Ordering::Relaxed);
    if response.status() == StatusCode::TOO_MANY_REQUESTS {
        meter.denials.fetch_add(1, Ordering::Relaxed);
    } else {
        meter.latencies.lock().unwrap_or_else(PoisonError::into_inner).push(began.elapsed());
    }
    response
}

impl Meter {
    pub(crate) fn totals(&self, shop: &Shop) -> Totals {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Totals {
            requests: count(&self.requests),
            hits: shop.hits(),
            loads: shop.loads(),
            denials: count(&self.denials),
            handovers: count(&self.handovers),
            overlaps: count(&self.overlaps),
            refused: count(&self.refused),
        }
    }

    /// Half of the requests since the last call took no longer than the first, 99 of 100 no longer than the second.
    pub(crate) fn latency(&self) -> (Duration, Duration) {
        let mut latencies = take(&mut *self.latencies.lock().unwrap_or_else(PoisonError::into_inner));
        latencies.sort_unstable();
        let at = |percent: usize| latencies.get(latencies.len() * percent / 100).copied().unwrap_or_default();
        (at(50), at(99))
    }
}

impl Totals {
    pub(crate) fn named(&self) -> [(&'static str, u64); 7] {
        [
            ("requests", self.requests),
            ("hits", self.hits),
            ("loads", self.loads),
            ("denials", self.denials),
            ("handovers", self.handovers),
            ("overlaps", self.overlaps),
            ("refused", self.refused),
        ]
    }

    pub(crate) fn prometheus(&self) -> String {
        let mut text = String::new();
        for (name, total) in self.named() {
            let _ = writeln!(text, "# TYPE service_{name}_total counter\nservice_{name}_total {total}");
        }
        text
    }
}
