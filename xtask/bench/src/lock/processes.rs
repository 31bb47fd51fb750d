//! Several processes that want one lock.

use std::time::Duration;

use anyhow::Result;
use kv_redis::RedisStore;

use super::account::{account, every};
use super::crowd::{KINDS, Kind};
use super::paced::Paced;
use super::section::Section;
use super::worker::{TASKS, Worker};
use crate::scenario::{BoxFuture, Contender, Contenders, Sample};

const PROCESSES: usize = 4;

/// How long it takes to see how often there is a hand-over.
const A_LOOK: Duration = Duration::from_millis(300);

pub(super) fn contenders(url: String) -> BoxFuture<'static, Result<Contenders>> {
    Box::pin(async move {
        let store = RedisStore::connect(&url).await?;
        let mut contenders = Contenders::new();
        for kind in KINDS {
            let workers = (0..PROCESSES).map(|_| Worker::start(kind.name, &url)).collect::<Result<_>>()?;
            contenders.push(Box::new(Processes {
                kind,
                workers,
                store: store.clone(),
                every: None,
                paced: Paced::default(),
            }));
        }
        Ok(contenders)
    })
}

struct Processes {
    kind: Kind,
    workers: Vec<Worker>,
    store: RedisStore,
    /// From one hand-over to the next, as first seen.
    every: Option<Duration>,
    paced: Paced,
}

impl Processes {
    /// Nothing else is to be done here meanwhile.
    fn turn(&mut self, time: Duration) -> Result<Sample> {
        self.workers.iter_mut().try_for_each(|worker| worker.order(time))?;
        let (mut sections, mut spent) = (Vec::new(), 0.0);
        for (process, worker) in self.workers.iter_mut().enumerate() {
            let (visited, micros) = worker.report()?;
            let first = (process * TASKS) as u64;
            sections.extend(visited.into_iter().map(|section| Section { task: first + section.task, ..section }));
            spent += micros;
        }
        let sample = account(sections, PROCESSES * TASKS, time, |task| task / TASKS as u64, self.paced)?;
        Ok(Sample { elsewhere_us: spent, ..sample })
    }
}

impl Contender for Processes {
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
        Box::pin(async move { self.turn(time) })
    }
}
