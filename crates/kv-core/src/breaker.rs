use crate::{Error, ErrorKind, Executed, Result, RetryPolicy};
use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// When a [`Breaker`] stops asking a store that is away, and how soon it tries again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerOptions {
    /// How many questions in a row fail before the store is left alone; not zero. Default: 5.
    pub failures: u32,
    /// How long it is left alone at first; each try in vain doubles it, and half of it is left to chance. Default: 100 ms.
    pub base: Duration,
    /// How long it is left alone at most. Default: 5 s.
    pub cap: Duration,
}

impl Default for BreakerOptions {
    fn default() -> Self {
        Self { failures: 5, base: Duration::from_millis(100), cap: Duration::from_secs(5) }
    }
}

impl BreakerOptions {
    /// Sets [`failures`](Self::failures).
    #[must_use]
    pub fn failures(mut self, failures: u32) -> Self {
        self.failures = failures;
        self
    }

    /// Sets [`base`](Self::base).
    #[must_use]
    pub fn base(mut self, base: Duration) -> Self {
        self.base = base;
        self
    }

    /// Sets [`cap`](Self::cap).
    #[must_use]
    pub fn cap(mut self, cap: Duration) -> Self {
        self.cap = cap;
        self
    }
}

/// Keeps questions from a store that is away, but for one at a time that looks whether it is back: a circuit breaker.
///
/// ```
/// use kv_core::{Breaker, BreakerOptions, ErrorKind};
///
/// let breaker = Breaker::new("example", BreakerOptions::default().failures(1))?;
/// breaker.leave()?.failed();
/// assert_eq!(breaker.leave().unwrap_err().kind(), ErrorKind::Unavailable);
/// # Ok::<_, kv_core::Error>(())
/// ```
#[derive(Debug)]
#[doc(alias = "CircuitBreaker")]
pub struct Breaker {
    operation: &'static str,
    options: BreakerOptions,
    failures: AtomicU32,
    is_open: AtomicBool,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    until: Instant,
    /// How many tries in vain there were.
    tries: u32,
    probed: bool,
}

/// Leave to ask the store. Dropped without a word, it tells nothing of the store.
#[derive(Debug)]
#[must_use = "the breaker learns from how the question ends"]
pub struct Leave<'a> {
    breaker: &'a Breaker,
    probes: bool,
}

impl Breaker {
    /// A breaker that lets everything through; the operation is named in its errors.
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) naming the option for one that can never work.
    pub fn new(operation: &'static str, options: BreakerOptions) -> Result<Self> {
        if options.failures == 0 || options.base.is_zero() || options.cap < options.base {
            let detail = "breaker.failures and breaker.base must not be zero, breaker.cap no less than breaker.base";
            return Err(Error::invalid_config(operation, detail));
        }
        let open = Open { until: Instant::now(), tries: 0, probed: false };
        let (failures, is_open) = (AtomicU32::new(0), AtomicBool::new(false));
        Ok(Self { operation, options, failures, is_open, open: Mutex::new(open) })
    }

    /// Leave to ask, or the error that nobody asks just now: [`Unavailable`](ErrorKind::Unavailable), and not executed.
    pub fn leave(&self) -> Result<Leave<'_>> {
        if !self.is_open.load(Ordering::Acquire) {
            return Ok(Leave { breaker: self, probes: false });
        }
        let mut open = self.open();
        if open.probed || Instant::now() < open.until {
            return Err(Error::new(ErrorKind::Unavailable, self.operation)
                .with_executed(Executed::No)
                .with_detail("breaker is open"));
        }
        open.probed = true;
        Ok(Leave { breaker: self, probes: true })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long the store is left alone after so many tries in vain.
    fn pause(&self, tries: u32) -> Duration {
        let BreakerOptions { base, cap, .. } = self.options;
        let longest = base.saturating_mul(1u32.checked_shl(tries).unwrap_or(u32::MAX)).min(cap);
        longest / 2 + RetryPolicy::default().base(longest / 2).cap(longest / 2).backoff(0)
    }
}

impl Leave<'_> {
    /// The store answered.
    pub fn answered(self) {
        if self.probes {
            let mut open = self.breaker.open();
            open.tries = 0;
            self.breaker.is_open.store(false, Ordering::Release);
        }
        if self.breaker.failures.load(Ordering::Relaxed) > 0 {
            self.breaker.failures.store(0, Ordering::Relaxed);
        }
    }

    /// The store is away.
    pub fn failed(self) {
        let breaker = self.breaker;
        let failures = breaker.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if !self.probes && failures < breaker.options.failures {
            return;
        }
        let mut open = breaker.open();
        // Those that were asked before it opened are no news.
        if self.probes || !breaker.is_open.load(Ordering::Acquire) {
            open.until = Instant::now() + breaker.pause(open.tries);
            open.tries = open.tries.saturating_add(1);
            breaker.is_open.store(true, Ordering::Release);
        }
    }
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        if self.probes {
            self.breaker.open().probed = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_at_a_time_looks_whether_the_store_is_back() {
        let options = BreakerOptions::default().failures(3).base(Duration::from_secs(1)).cap(Duration::from_secs(4));
        let breaker = Breaker::new("test", options).unwrap();
        // Not in a row.
        for _ in 0..10 {
            breaker.leave().unwrap().failed();
            breaker.leave().unwrap().failed();
            breaker.leave().unwrap().answered();
        }
        let stragglers = [breaker.leave().unwrap(), breaker.leave().unwrap()];
        (0..3).for_each(|_| breaker.leave().unwrap().failed());
        let mut pause = Duration::from_secs(1);
        for _ in 0..5 {
            let opened = Instant::now();
            assert!(breaker.leave().is_err());
            let probe = loop {
                tokio::time::advance(Duration::from_millis(1)).await;
                if let Ok(probe) = breaker.leave() {
                    break probe;
                }
            };
            assert!(opened.elapsed() >= pause / 2 && opened.elapsed() <= pause + Duration::from_millis(1));
            assert!(breaker.leave().is_err(), "one at a time");
            drop(probe);
            let probe = breaker.leave().expect("one that was dropped leaves its place to the next");
            probe.failed();
            pause = (pause * 2).min(Duration::from_secs(4));
        }
        let until = breaker.open().until;
        stragglers.into_iter().for_each(Leave::failed);
        assert_eq!(breaker.open().until, until, "what was asked before is no news");
        tokio::time::advance(Duration::from_secs(4)).await;
        breaker.leave().unwrap().answered();
        (0..2).for_each(|_| breaker.leave().unwrap().failed());
        breaker.leave().expect("it counts from zero").answered();
    }
}
