//! One run of the storefront, in this process or as one of several workers.

use crate::{
    Args, Database, Storefront,
    clients::{Clients, Scenario},
    compression,
    database::ON_SALE,
    fleet, guards,
    measured::Measured,
    open_store,
    progress::Progress,
    report::Report,
    tally::Tally,
    traffic::{Trace, Traffic, Zipf},
};
use anyhow::{Context, Result, anyhow};
use kv_core::{Keyspace, KvStore};
use std::{env, fs, path::PathBuf, sync::Arc, time::Duration};
use tokio::{
    signal::{
        ctrl_c,
        unix::{SignalKind, signal},
    },
    time::{Instant, sleep},
};

/// What all processes of a run agree on.
pub(crate) struct Run {
    pub(crate) args: Args,
    /// Random, and part of every key, so that nothing of another run is met.
    pub(crate) id: String,
    store: Arc<dyn KvStore>,
}

/// Runs what the command line asks for.
pub(crate) async fn main(args: Args) -> Result<()> {
    let store = open_store(args.redis.as_deref()).await.context("cannot use the Redis of --redis or REDIS_URL")?;
    if let Some((index, id)) = fleet::worker_of() {
        return fleet::work(&Run { args, id, store }, index).await;
    }
    if args.guards {
        return guards::show(store, format!("shop-{:08x}", rand::random::<u32>())).await;
    }
    let survey = match &args.trace {
        Some(trace) => Some(Trace::survey(trace, args.requests)?),
        None => None,
    };
    let run = Run { id: format!("{:08x}", rand::random::<u32>()), args, store };
    let mut terminated = signal(SignalKind::terminate())?;
    let outcome = tokio::select! {
        outcome = run.lead(survey) => outcome,
        _ = ctrl_c() => Err(anyhow!("interrupted")),
        _ = terminated.recv() => Err(anyhow!("terminated")),
    };
    run.clean_up().await;
    outcome
}

impl Run {
    /// Runs to the end, here or in workers, with progress and a table.
    async fn lead(&self, survey: Option<(u64, u64)>) -> Result<()> {
        let requests = survey.map_or(self.args.requests, |(reads, _)| reads);
        let progress = Progress::new(requests, self.args.time);
        let began = Instant::now();
        let tally = if self.args.processes > 1 {
            let fleet = fleet::Fleet::new(self.args.processes);
            progress.watch(fleet.run(&self.id), || fleet.tally()).await?;
            fleet.tally()?
        } else {
            let clients = self.clients(0)?;
            progress.watch(clients.clone().run(self.args.clients), || Ok(clients.tally())).await?;
            clients.tally()
        };
        let elapsed = began.elapsed();
        let database = Database::new(self.rows(), Duration::ZERO, 0, Arc::default());
        let mut left = 0;
        for id in ON_SALE {
            left += database.stock(id).await?;
        }
        Report { args: &self.args, tally: &tally, elapsed, survey, left }.print().context("standard output")
    }

    /// This process' share of the load, on a shop of its own.
    pub(crate) fn clients(&self, process: usize) -> Result<Arc<Clients>> {
        let Args { trace, requests, processes, time, .. } = &self.args;
        let (scenario, traffic) = match trace {
            Some(path) => (Scenario::TRACE, Traffic::Trace(Trace::open(path, *requests, process, *processes)?.into())),
            None => {
                let share = requests / *processes as u64 + u64::from((process as u64) < requests % *processes as u64);
                (Scenario::RANDOM, Traffic::Zipf(Zipf::new(share)))
            }
        };
        let tally = Arc::<Tally>::default();
        let database = Database::new(self.rows(), scenario.database_latency, scenario.reviews, tally.clone());
        let compression = Arc::new(Measured::new(compression()?, tally.clone()));
        let shop =
            Storefront::new(self.store.clone(), Arc::new(database), compression, scenario.quota, &self.prefix())?;
        let until = time.and_then(|time| Instant::now().checked_add(time));
        Ok(Arc::new(Clients { shop, scenario, traffic, until, process, tally }))
    }

    /// Removes what has no TTL: the rows and the fencing counters. The rest goes by itself.
    pub(crate) async fn clean_up(&self) {
        // Whatever was on its way has arrived by then.
        sleep(Duration::from_millis(100)).await;
        let _ = fs::remove_file(self.rows());
        let names = ON_SALE.map(|id| format!("stock:{id}")).chain(["nightly".to_owned()]);
        let keys = Keyspace::new(format!("{}:lock", self.prefix()));
        let fences: Vec<_> = names.filter_map(|name| keys.as_ref().ok()?.key(&name, "fence").ok()).collect();
        // One by one: in a cluster they live in different places.
        for fence in &fences {
            let _ = self.store.delete(&[fence]).await;
        }
    }

    fn prefix(&self) -> String {
        format!("shop-{}", self.id)
    }

    fn rows(&self) -> PathBuf {
        env::temp_dir().join(format!("storefront-{}", self.id))
    }
}
