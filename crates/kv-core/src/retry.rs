use crate::{Error, ErrorKind, Result};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Which failures may be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// The operation is idempotent: repeat on every temporary error, even if it may have been executed.
    Idempotent,
    /// Repeat only what is known not to have been executed.
    IfNotExecuted,
}

/// How often, how fast and how long [`retry_async`] tries.
///
/// Waits are drawn from `0..=min(cap, base * 2^n)`: exponential backoff with full jitter
/// (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// How many times to try in all, at least once. Default: 4.
    pub max_attempts: u32,
    /// The longest first wait. Default: 20 ms.
    pub base: Duration,
    /// The longest wait. Default: 1 s.
    pub cap: Duration,
    /// The end of it all, tries and waits together. Default: 5 s.
    pub deadline: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 4,
            base: Duration::from_millis(20),
            cap: Duration::from_secs(1),
            deadline: Duration::from_secs(5),
        }
    }
}

impl RetryPolicy {
    /// Sets [`max_attempts`](Self::max_attempts).
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts;
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

    /// Sets [`deadline`](Self::deadline).
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// A wait before the try after attempt `n`, counted from 0.
    pub fn backoff(&self, n: u32) -> Duration {
        let longest = self.base.saturating_mul(1u32.checked_shl(n).unwrap_or(u32::MAX)).min(self.cap);
        longest.mul_f64(rand::random::<f64>())
    }
}

/// Runs an operation until it succeeds, fails for good, or the policy ends; returns the last error.
///
/// Nothing is repeated that `repeat` does not allow: a write whose reply was lost is not sent again unless the caller
/// says it is idempotent. A try that is cut off by the deadline is [`ErrorKind::Timeout`] and may have been executed.
/// Dropping the future drops the try under way.
///
/// ```
/// # use kv_core::*;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// let store = MemoryStore::new();
/// let value = retry_async(&RetryPolicy::default(), Repeat::Idempotent, || store.get("greeting")).await?;
/// assert_eq!(value, None);
/// # Ok(()) }
/// ```
pub async fn retry_async<T, F, Fut>(policy: &RetryPolicy, repeat: Repeat, operation: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T>>,
{
    retry_named("retry", policy, repeat, operation).await
}

/// [`retry_async`] for an operation whose name is known.
pub(crate) async fn retry_named<T, F, Fut>(
    name: &'static str,
    policy: &RetryPolicy,
    repeat: Repeat,
    mut operation: F,
) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T>>,
{
    let started = Instant::now();
    let left = || policy.deadline.saturating_sub(started.elapsed());
    for attempt in 0.. {
        let Ok(outcome) = timeout(left(), operation()).await else { break };
        let Err(error) = outcome else { return outcome };
        let allowed = match repeat {
            Repeat::Idempotent => error.is_temporary(),
            Repeat::IfNotExecuted => error.is_retryable(),
        };
        let wait = policy.backoff(attempt);
        if !allowed || attempt + 1 >= policy.max_attempts || wait >= left() {
            return Err(error);
        }
        sleep(wait).await;
    }
    Err(Error::new(ErrorKind::Timeout, name).with_detail("deadline passed"))
}
