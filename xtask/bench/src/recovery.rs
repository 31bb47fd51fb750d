//! From a failure to the first call that works again, on the same handle.

mod cluster;
mod sentinel;
mod server;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::timing::Timing;

/// One server that comes back.
pub(crate) const SERVER: Timing = Timing {
    name: "recovery-server",
    about: "a server is killed and back after 2 s: from its port answering to the first write",
    crates: CRATES,
    start: server::start,
};

/// A master that is replaced by its sentinels.
pub(crate) const SENTINEL: Timing = Timing {
    name: "recovery-sentinel",
    about: "a master is killed: to the first write on its successor",
    crates: CRATES,
    start: sentinel::start,
};

/// A master that is replaced by its replica.
pub(crate) const CLUSTER: Timing = Timing {
    name: "recovery-cluster",
    about: "a master of a cluster is killed: to the first write on its slots",
    crates: CRATES,
    start: cluster::start,
};

const CRATES: &[&str] = &["redis", "tokio", "kv-redis"];

/// As long as it takes; what never works again ends the run.
const LIMIT: Duration = Duration::from_secs(30);
/// Between calls that fail at once.
const PAUSE: Duration = Duration::from_millis(1);

fn runtime() -> Result<Runtime> {
    Ok(Builder::new_multi_thread().enable_all().build()?)
}

/// Calls until a call works.
fn first_success<T, E, F>(
    runtime: &Runtime,
    mut call: impl FnMut() -> F + Send + 'static,
) -> JoinHandle<Result<Instant>>
where
    F: Future<Output = Result<T, E>> + Send + 'static,
    E: std::fmt::Display + Send,
    T: Send,
{
    let down = Instant::now();
    runtime.spawn(async move {
        loop {
            match call().await {
                Ok(_) => return Ok(Instant::now()),
                Err(error) if down.elapsed() > LIMIT => bail!("no call works after {LIMIT:?}: {error}"),
                Err(_) => sleep(PAUSE).await,
            }
        }
    })
}

/// What passed since `earlier`; nothing if it worked before we knew that it could.
fn since(earlier: Instant, runtime: &Runtime, success: JoinHandle<Result<Instant>>) -> Result<Duration> {
    Ok(runtime.block_on(success)??.saturating_duration_since(earlier))
}
