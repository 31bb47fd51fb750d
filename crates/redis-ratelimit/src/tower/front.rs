use super::Limit;
use crate::{Answer, Decision, FrontLimiter, Quota, Source};
use async_trait::async_trait;
use kv_core::Result;

/// What is decided without the store is not given back to it; where [nothing is counted](Source::Unlimited), clients are told of all of
/// the quota.
#[async_trait]
impl Limit for FrontLimiter {
    async fn check_n(&self, id: &str, n: u64) -> Result<Decision> {
        self.check_counted(id, n).await.map(|(decision, _)| decision)
    }

    async fn check_counted(&self, id: &str, n: u64) -> Result<(Decision, bool)> {
        let answer = FrontLimiter::check_n(self, id, n).await?;
        if answer.is_degraded() {
            tracing::debug!(source = ?answer.source, "a quota is checked without its store");
        }
        Ok((told(&answer, self.limiter().quota()), !answer.is_degraded()))
    }

    async fn refund(&self, id: &str, n: u64) -> Result<()> {
        FrontLimiter::refund(self, id, n).await.map(drop)
    }

    fn quota(&self) -> Quota {
        self.limiter().quota()
    }
}

fn told(answer: &Answer, quota: Quota) -> Decision {
    match (answer.source, answer.decision) {
        (Source::Unlimited, Decision::Allowed { reset_after, .. }) => {
            Decision::Allowed { remaining: quota.burst, reset_after }
        }
        (_, decision) => decision,
    }
}
