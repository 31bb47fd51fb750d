//! What stands in front of the store: batches, the deny cache, leases, and what is said when the store is away.

mod away;
mod batching;
mod denying;
mod leasing;

use kv_core::{Around, Call, Error, ErrorKind, Executed, KvStore, Layered, MemoryStore, Result};
use redis_ratelimit::{FrontLimiter, FrontOptions, Quota, RateLimitOptions, RateLimiter};
use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

fn limiter(store: &(impl KvStore + Clone + 'static), quota: Quota) -> RateLimiter {
    RateLimiter::new(Arc::new(store.clone()), quota, RateLimitOptions::default()).unwrap()
}

fn front(store: &(impl KvStore + Clone + 'static), quota: Quota, options: FrontOptions) -> FrontLimiter {
    FrontLimiter::new(limiter(store, quota), options).unwrap()
}

/// A way to the store that takes its time in both directions, counts, and breaks on order.
#[derive(Clone, Debug, Default)]
struct Way(Arc<WayState>);

#[derive(Debug, Default)]
struct WayState {
    calls: AtomicU64,
    /// Microseconds, there and back.
    there: AtomicU64,
    back: AtomicU64,
    is_broken: AtomicBool,
    is_silent: AtomicBool,
}

impl Around for Way {
    async fn around<T: Send>(&self, mut call: Call<'_, T>) -> Result<T> {
        let state = &self.0;
        state.calls.fetch_add(1, Ordering::SeqCst);
        if state.is_broken.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, "test").with_executed(Executed::No));
        }
        let wait = |time: &AtomicU64| tokio::time::sleep(Duration::from_micros(time.load(Ordering::SeqCst)));
        if state.there.load(Ordering::SeqCst) > 0 {
            wait(&state.there).await;
        }
        let reply = call.run().await;
        if state.is_silent.load(Ordering::SeqCst) {
            pending::<()>().await;
        }
        if state.back.load(Ordering::SeqCst) > 0 {
            wait(&state.back).await;
        }
        reply
    }
}

impl Way {
    fn to(&self, store: &MemoryStore) -> Layered<MemoryStore, Self> {
        Layered::new(store.clone(), self.clone())
    }

    fn calls(&self) -> u64 {
        self.0.calls.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn options_that_cannot_work_are_refused_by_name() {
    use redis_ratelimit::{BreakerOptions, FailurePolicy, LeaseOptions};
    let breaker = BreakerOptions::default();
    let lease = LeaseOptions::default();
    let options = FrontOptions::default;
    for (field, wrong) in [
        ("batch", options().batch(0)),
        ("batch", options().batch(1001)),
        ("deny_cache", options().deny_cache(usize::MAX)),
        ("processes", options().processes(0)),
        ("processes", options().processes(u32::MAX).on_failure(FailurePolicy::Local)),
        ("budget", options().budget(Duration::ZERO)),
        ("breaker.failures", options().breaker(breaker.failures(0))),
        ("breaker.base", options().breaker(breaker.base(Duration::ZERO))),
        ("breaker.cap", options().breaker(breaker.cap(Duration::from_millis(1)))),
        ("lease.units", options().lease(lease.units(1))),
        ("lease.ids", options().lease(lease.ids(0))),
        ("lease.time", options().lease(lease.time(Duration::ZERO))),
        ("lease.time", options().lease(lease.time(Duration::from_secs(61)))),
    ] {
        let limiter = limiter(&MemoryStore::new(), Quota::per(1, Duration::from_secs(1 << 30)));
        let error = FrontLimiter::new(limiter, wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{field}");
        assert!(error.to_string().contains(field), "{field}: {error}");
    }
}
