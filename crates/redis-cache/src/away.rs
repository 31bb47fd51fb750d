use crate::CacheOptions;
use kv_core::{Breaker, Error, ErrorKind, Result, Timeouts};
use std::time::Duration;
use tokio::time::Instant;

/// What a read does while the store is away, or at its memory limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenAway {
    /// The loader answers, once for all who wait in this process, and behind the limit on loads.
    #[default]
    Load,
    /// The read fails with the store's error, so that the database is spared what the cache keeps from it.
    #[doc(alias = "fail fast")]
    Fail,
}

/// Keeps reads from waiting for a store that is away.
#[derive(Debug)]
pub(crate) struct Patience {
    budget: Option<(Duration, Timeouts)>,
    breaker: Option<Breaker>,
}

impl Patience {
    pub(crate) fn new(options: &CacheOptions) -> Result<Self> {
        let breaker = options.breaker.map(|breaker| Breaker::new("cache", breaker)).transpose()?;
        let budget = options.budget.map(|budget| (budget, Timeouts::of(budget)));
        Ok(Self { budget, breaker })
    }

    /// What the store answers within the budget; an error at once while it is known to be away.
    pub(crate) async fn ask<T>(&self, question: impl Future<Output = Result<T>>) -> Result<T> {
        let leave = self.breaker.as_ref().map(Breaker::leave).transpose()?;
        let by = |time: &Duration| Instant::now().checked_add(*time);
        let answer = match self.budget.as_ref().and_then(|(time, timeouts)| Some((by(time)?, timeouts))) {
            None => question.await,
            Some((by, timeouts)) => timeouts
                .within(by, question)
                .await
                .unwrap_or_else(|| Err(Error::new(ErrorKind::Timeout, "cache").with_detail("the budget is spent"))),
        };
        match (leave, &answer) {
            (Some(leave), Err(error)) if error.is_temporary() => leave.failed(),
            (Some(leave), _) => leave.answered(),
            (None, _) => {}
        }
        answer
    }
}
