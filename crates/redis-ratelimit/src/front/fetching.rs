use super::{Front, ask::Told};
use crate::Decision;
use kv_core::{Error, ErrorKind, Result};
use std::sync::Arc;
use tokio::runtime::Handle;

/// Takes units ahead; dropped, somebody else may.
#[derive(Debug)]
pub(super) struct Fetching {
    front: Arc<Front>,
    hash: u64,
    id: Box<str>,
    units: u64,
}

impl Fetching {
    pub(super) fn new(front: Arc<Front>, hash: u64, id: &str, units: u64) -> Self {
        Self { front, hash, id: id.into(), units }
    }

    /// The decision on a check for `n`, with the rest of the units kept for later ones.
    ///
    /// In a task of its own: what is taken is kept, whether the caller is still there or not.
    pub(super) async fn take(mut self, n: u64) -> Result<Decision> {
        let Ok(runtime) = Handle::try_current() else {
            // Nobody would give back what is not spent.
            self.units = n;
            return self.ask(n).await;
        };
        let gone = |_| Err(Error::new(ErrorKind::Unavailable, "ratelimit").with_detail("the runtime is gone"));
        runtime.spawn(self.ask(n)).await.unwrap_or_else(gone)
    }

    async fn ask(self, n: u64) -> Result<Decision> {
        let (front, gcra) = (&self.front, &self.front.gcra);
        let told = front.room(&self.id, self.units).await?;
        if told.room >= 0 {
            let rest = self.units - n;
            let decision = gcra.decide(self.units, told.room);
            front.keep(self.hash, &self.id, &decision, rest, told.asked.sent);
            let (remaining, reset_after) = (decision.remaining().saturating_add(rest), decision.reset_after());
            return Ok(Decision::Allowed { remaining, reset_after });
        }
        let (room, cost) = (told.room + told.cost, gcra.cost(n));
        if room < cost {
            return front.settle(self.hash, &self.id, n, Told { cost, room: room - cost, ..told });
        }
        front.settle(self.hash, &self.id, n, front.room(&self.id, n).await?)
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        if let Some(leases) = &self.front.leases {
            leases.fetched(self.hash, &self.id);
        }
    }
}
