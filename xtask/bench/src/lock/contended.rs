//! One process whose tasks want one lock, and can pass it on through the server only.

use std::time::Duration;

use anyhow::Result;
use kv_redis::RedisStore;

use super::account::{account, every};
use super::crowd::{Crowd, KINDS, Kind};
use super::paced::Paced;
use crate::scenario::{BoxFuture, Contender, Contenders, Sample};

const TASKS: usize = 16;

/// How long it takes to see how often there is a hand-over.
const A_LOOK: Duration = Duration::from_millis(300);

pub(super) fn contenders(url: String) -> BoxFuture<'static, Result<Contenders>> {
    Box::pin(async move {
        let store = RedisStore::connect(&url).await?;
        let mut contenders = Vec::new();
        for kind in KINDS {
            let crowd = kind.gather(&url, TASKS, true).await?;
            contenders.push(Contended { kind, crowd, store: store.clone(), every: None, paced: Paced::default() });
        }
        Ok(contenders.into_iter().map(|contender| Box::new(contender) as Box<dyn Contender>).collect())
    })
}

struct Contended {
    kind: Kind,
    crowd: Box<dyn Crowd>,
    store: RedisStore,
    /// From one hand-over to the next, as first seen.
    every: Option<Duration>,
    paced: Paced,
}

impl Contender for Contended {
    fn name(&self) -> &'static str {
        self.kind.name
    }

    /// Whoever comes while nobody waits costs less.
    fn commands(&self) -> &'static [(&'static str, u64)] {
        &[]
    }

    fn sent(&self) -> &'static [&'static str] {
        self.kind.sent
    }

    fn enter(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            if self.every.is_none() {
                self.every = every(&self.work(A_LOOK).await?);
            }
            self.paced = Paced::measure(self.store.clone(), self.every.unwrap_or_default()).await?;
            Ok(())
        })
    }

    fn work(&mut self, time: Duration) -> BoxFuture<'_, Result<Sample>> {
        Box::pin(async move {
            let sections = self.crowd.work(time).await?;
            account(sections, TASKS, time, |task| task, self.paced)
        })
    }
}
