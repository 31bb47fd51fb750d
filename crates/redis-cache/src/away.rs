use crate::CacheOptions;
use kv_core::{Breaker, Error, ErrorKind, Result};
use std::time::Duration;
use tokio::time::timeout;

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
    budget: Option<Duration>,
    breaker: Option<Breaker>,
}

impl Patience {
    pub(crate) fn new(options: &CacheOptions) -> Result<Self> {
        let breaker = options.breaker.map(|breaker| Breaker::new("cache", breaker)).transpose()?;
        Ok(Self { budget: options.budget, breaker })
    }

    /// What the store answers within the budget; an error at once while it is known to be away.
    pub(crate) async fn ask<T>(&self, question: impl Future<Output = Result<T>>) -> Result<T> {
        let leave = self.breaker.as_ref().map(Breaker::leave).transpose()?;
        let answer = match self.budget {
            None => question.await,
            Some(budget) => timeout(budget, question)
                .await
                .unwrap_or_else(|_| Err(Error::new(ErrorKind::Timeout, "cache").with_detail("the budget is spent"))),
        };
        match (leave, &answer) {
            (Some(leave), Err(error)) if error.is_temporary() => leave.failed(),
            (Some(leave), _) => leave.answered(),
            (None, _) => {}
        }
        answer
    }
}
