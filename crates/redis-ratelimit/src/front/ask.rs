use super::{Front, Source, denied::Asked, fetching::Fetching, lease::Spend};
use crate::{Answer, Decision, FailurePolicy};
use kv_core::{Breaker, Error, ErrorKind, Result};
use std::sync::Arc;
use tokio::time::{Instant, timeout};

impl Front {
    /// Asks the store, or whoever decides in its place.
    pub(super) async fn ask(self: &Arc<Self>, hash: u64, id: &str, n: u64) -> Result<Answer> {
        let mut fetch = None;
        if let Some(leases) = self.leases.as_ref().filter(|_| n > 0) {
            let (spend, unused) = leases.spend(hash, id, n, Instant::now());
            self.give_back_soon(unused);
            match spend {
                Spend::Paid(decision) => return Ok(Answer { decision, source: Source::Lease }),
                Spend::Fetch(units) => fetch = Some(Fetching::new(self.clone(), hash, id, units)),
                Spend::Ask => {}
            }
        }
        let leave = match self.breaker.as_ref().map(Breaker::leave).transpose() {
            Ok(leave) => leave,
            Err(error) => return self.without_store(id, n, error).await,
        };
        let asked = async {
            match fetch {
                Some(fetching) => fetching.take(n).await,
                None => self.settle(hash, id, n, self.room(id, n).await?),
            }
        };
        let decided = match self.options.budget {
            None => asked.await,
            Some(budget) => timeout(budget, asked).await.unwrap_or_else(|_| {
                Err(Error::new(ErrorKind::Timeout, "ratelimit").with_detail("over the budget of a check"))
            }),
        };
        match decided {
            Ok(decision) => {
                if let Some(leave) = leave {
                    leave.answered();
                }
                Ok(Answer { decision, source: Source::Store })
            }
            Err(error) if is_away(&error) => {
                if let Some(leave) = leave {
                    leave.failed();
                }
                self.without_store(id, n, error).await
            }
            Err(error) => {
                let answered = matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::WrongType);
                if let Some(leave) = leave.filter(|_| answered) {
                    leave.answered();
                }
                Err(error)
            }
        }
    }

    /// What asking for so many units says.
    pub(super) async fn room(&self, id: &str, units: u64) -> Result<Told> {
        let asked = Instant::now();
        let asked = self.denied.as_ref().map_or(Asked::at(asked), |denied| denied.asked(asked));
        let (key, cost) = (self.limiter.key(id)?, self.gcra.cost(units));
        let room = match &self.batcher {
            Some(batcher) => batcher.room(key, cost).await?,
            None => self.limiter.room(&key, cost).await?,
        };
        Ok(Told { asked, cost, room })
    }

    /// The decision on a check that was asked for alone, and what is learned from it.
    pub(super) fn settle(&self, hash: u64, id: &str, n: u64, told: Told) -> Result<Decision> {
        let gcra = &self.gcra;
        let decision = gcra.decide(n, told.room);
        if n > 0 {
            if let Some(denied) = self.denied.as_ref().filter(|_| told.room < 0) {
                denied.record(hash, id, n, told.room + told.cost, told.asked, gcra);
            }
            if let Some(leases) = &self.leases {
                leases.learn(hash, id, &decision, 0, told.asked.sent);
            }
        }
        Ok(decision)
    }

    /// What the failure policy says.
    async fn without_store(&self, id: &str, n: u64, error: Error) -> Result<Answer> {
        match (self.options.on_failure, &self.insurance) {
            (FailurePolicy::Open, _) => Ok(Answer::UNLIMITED),
            (FailurePolicy::Local, Some(insurance)) => {
                Ok(Answer { decision: insurance.check_n(id, n).await?, source: Source::Insurance })
            }
            _ => Err(error),
        }
    }
}

/// What the store says of so many ticks.
#[derive(Clone, Copy)]
pub(super) struct Told {
    pub(super) asked: Asked,
    pub(super) cost: i64,
    pub(super) room: i64,
}

/// Whether it is the store's failure, and not the caller's or the key's.
fn is_away(error: &Error) -> bool {
    error.is_temporary() || error.kind() == ErrorKind::OutOfMemory
}
