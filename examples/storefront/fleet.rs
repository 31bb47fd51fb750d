//! Several processes on one Redis.

use crate::{run::Run, tally::Tally};
use anyhow::{Context, Result, anyhow, ensure};
use std::{
    env,
    io::{Read, Write, stdin, stdout},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::oneshot,
    task::JoinSet,
    time::interval,
};

/// Makes a process a worker: its number, and the id of the run.
const WORKER: &str = "STOREFRONT_WORKER";
/// How often a worker reports.
const PERIOD: Duration = Duration::from_millis(200);

/// The workers' latest reports, as the parent knows them.
pub(crate) struct Fleet {
    latest: Arc<Vec<Mutex<String>>>,
}

impl Fleet {
    pub(crate) fn new(processes: usize) -> Self {
        Self { latest: Arc::new((0..processes).map(|_| Mutex::default()).collect()) }
    }

    /// Runs all workers to their end. If one fails, or this is dropped, the others are killed.
    pub(crate) async fn run(&self, run: &str) -> Result<()> {
        let mut workers = JoinSet::new();
        for index in 0..self.latest.len() {
            let worker = Command::new(env::current_exe()?)
                .args(env::args_os().skip(1))
                .env(WORKER, format!("{index} {run}"))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .context("a worker does not start")?;
            workers.spawn(attend(worker, index, self.latest.clone()));
        }
        while let Some(ended) = workers.join_next().await {
            ended??;
        }
        Ok(())
    }

    /// The figures of all workers together.
    pub(crate) fn tally(&self) -> Result<Arc<Tally>> {
        let sum = Arc::<Tally>::default();
        for latest in self.latest.iter() {
            let line = latest.lock().unwrap_or_else(PoisonError::into_inner);
            ensure!(line.is_empty() || sum.absorb(&line).is_some(), "a worker reports no figures");
        }
        Ok(sum)
    }
}

/// Keeps the latest line of a worker, and the pipe whose end tells it that this process is gone.
async fn attend(mut worker: Child, index: usize, latest: Arc<Vec<Mutex<String>>>) -> Result<()> {
    let mut lines = BufReader::new(worker.stdout.take().context("a worker has no output")?).lines();
    while let Some(line) = lines.next_line().await? {
        *latest[index].lock().unwrap_or_else(PoisonError::into_inner) = line;
    }
    let status = worker.wait().await?;
    ensure!(status.success(), "worker {index} of {} failed: {status}", latest.len());
    Ok(())
}

/// The number of this worker and the id of its run, if this process is one.
pub(crate) fn worker_of() -> Option<(usize, String)> {
    let worker = env::var(WORKER).ok()?;
    let (index, run) = worker.split_once(' ')?;
    Some((index.parse().ok()?, run.to_owned()))
}

/// Runs a worker's share, reporting until the end, or until nobody listens.
pub(crate) async fn work(run: &Run, index: usize) -> Result<()> {
    let clients = run.clients(index)?;
    let (orphaned, mut parent) = oneshot::channel::<()>();
    thread::spawn(move || {
        // Nothing is ever written: this returns when the parent ends.
        let _ = stdin().read(&mut [0]);
        drop(orphaned);
    });
    let report = || writeln!(stdout(), "{}", clients.tally().to_line());
    let mut ticks = interval(PERIOD);
    let mut running = tokio::spawn(clients.clone().run(run.args.clients));
    loop {
        let outcome = tokio::select! {
            ended = &mut running => return ended?.and_then(|()| Ok(report()?)),
            _ = ticks.tick() => report(),
            _ = &mut parent => break,
        };
        if outcome.is_err() {
            break;
        }
    }
    running.abort();
    run.clean_up().await;
    Err(anyhow!("the parent process is gone"))
}
