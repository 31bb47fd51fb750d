//! How long the fixture takes.

use std::time::{Duration, Instant};

use anyhow::Result;
use xtask::fixture::{Cluster, Sentinel, Server};

use crate::timing::Timing;

/// What every test pays for its servers.
pub(crate) const FIXTURE: Timing = Timing {
    name: "fixture",
    about: "from the start of the processes to servers that are ready",
    crates: &[],
    start: || {
        Ok(Box::new(|| {
            Ok(vec![
                ("one server, answers", time(Server::start)?),
                ("cluster of 3+3, agrees and in sync", time(Cluster::start)?),
                ("1+2 under 3 sentinels, agree and in sync", time(Sentinel::start)?),
            ])
        }))
    },
};

/// Stopping is not measured.
fn time<T>(start: impl FnOnce() -> Result<T>) -> Result<Duration> {
    let started = Instant::now();
    let running = start()?;
    let time = started.elapsed();
    drop(running);
    Ok(time)
}
