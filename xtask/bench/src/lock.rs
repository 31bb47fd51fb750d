//! Acquire and release a lock: one nobody else wants, and one that many do.

mod account;
mod contended;
mod contenders;
mod crowd;
mod held;
mod local;
mod paced;
mod processes;
mod queue;
mod quorum;
mod section;
mod way;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use kv_redis::{RedisOptions, RedisStore};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, IntoConnectionInfo};
use redis_lock::{LockManager, LockOptions};

use self::contenders::{Fenced, Ours, Plain, Rslock};
pub(crate) use self::worker::serve;
use crate::foreign;
use crate::load::ClosedLoop;
use crate::pin::Placement;
use crate::scenario::{BoxFuture, Contenders, Scenario, TURN};
use crate::stage::Stage;

/// What any of them adds to the round trips, and nothing else.
pub(crate) const UNCONTENDED: Scenario = Scenario {
    name: "lock-uncontended",
    about: "one task acquires and releases one lock",
    pin: Placement::Same,
    crates: CRATES,
    turn: TURN,
    stage: Stage::Server,
    less_of: None,
    contenders: |url| contenders(url, 1),
};

/// What one connection and one core of the client carry.
pub(crate) const UNCONTENDED_64: Scenario = Scenario {
    name: "lock-uncontended-64",
    about: "64 tasks acquire and release a lock each",
    pin: Placement::Split,
    crates: CRATES,
    turn: TURN,
    stage: Stage::Server,
    less_of: None,
    contenders: |url| contenders(url, 64),
};

/// What it takes for the lock to go from one to another, and who gets it how often.
pub(crate) const CONTENDED: Scenario = Scenario {
    name: "lock-contended",
    about: "16 tasks, each with a manager of its own, take turns of 1 ms under one lock and pause for 2.5 to 7.5 ms",
    pin: Placement::Split,
    crates: CRATES,
    turn: Duration::from_secs(3),
    stage: Stage::Server,
    less_of: None,
    contenders: contended::contenders,
};

/// The same where some of those who wait are nearer than others.
pub(crate) const CONTENDED_PROCESSES: Scenario = Scenario {
    name: "lock-contended-processes",
    about: "the same from 4 processes of 4 tasks that share a manager; a hand-over is from process to process",
    pin: Placement::Split,
    crates: CRATES,
    turn: Duration::from_secs(3),
    stage: Stage::Server,
    less_of: None,
    contenders: processes::contenders,
};

/// How fast a lock goes round in one process.
pub(crate) const LOCAL_32: Scenario = Scenario {
    name: "lock-local-32",
    about: "32 tasks that share a manager acquire and release one lock",
    pin: Placement::Split,
    crates: CRATES,
    turn: Duration::from_secs(2),
    stage: Stage::Server,
    less_of: None,
    contenders: local::contenders,
};

/// What it costs to keep what one has.
pub(crate) const HELD_1000: Scenario = Scenario {
    name: "lock-held-1000",
    about: "1000 locks are held and renewed, with leases of 3 s; an operation is a second of it",
    pin: Placement::Split,
    crates: CRATES,
    turn: Duration::from_secs(3),
    stage: Stage::Server,
    less_of: None,
    contenders: held::contenders,
};

/// What it adds to ask three servers.
pub(crate) const QUORUM_3: Scenario = Scenario {
    name: "lock-quorum-3",
    about: "one task acquires and releases one lock on a majority of three servers",
    pin: Placement::Split,
    crates: CRATES,
    turn: TURN,
    stage: Stage::Servers(3),
    less_of: None,
    contenders: |urls| quorum::contenders(urls, 1),
};

/// The same with one core of the client at work.
pub(crate) const QUORUM_3_64: Scenario = Scenario {
    name: "lock-quorum-3-64",
    about: "64 tasks acquire and release a lock each on a majority of three servers",
    pin: Placement::Split,
    crates: CRATES,
    turn: TURN,
    stage: Stage::Servers(3),
    less_of: None,
    contenders: |urls| quorum::contenders(urls, 64),
};

const CRATES: &[&str] = &["redis", "tokio", "redis-lock", "kv-redis", "rslock"];

const FENCED: &[(&str, u64)] = &[("evalsha", 2), ("set", 1), ("incr", 1), ("get", 1), ("del", 1)];
const OURS: &[(&str, u64)] = &[("evalsha", 2), ("set", 1), ("incr", 1), ("get", 1), ("del", 1)];
const PLAIN: &[(&str, u64)] = &[("evalsha", 1), ("set", 1), ("get", 1), ("del", 1)];

fn contenders(url: String, tasks: usize) -> BoxFuture<'static, Result<Contenders>> {
    Box::pin(async move {
        let client = client(&url)?;
        // redis-rs' own response timeout stays: a floor that may hang forever has not the same guarantee.
        let config = ConnectionManagerConfig::new().set_pipeline_buffer_size(RedisOptions::default().pipeline_buffer);
        let connection = ConnectionManager::new_with_config(client.clone(), config.clone()).await?;
        let patient = ConnectionManager::new_with_config(client.clone(), config.set_response_timeout(None)).await?;
        let store = Arc::new(RedisStore::connect(&url).await?);
        let ours = LockManager::new(store, LockOptions::default())?;
        let rslock = rslock::LockManager::from_clients(vec![client]);
        let fenced = |prefix, connection: &ConnectionManager| {
            (0..tasks).map(|task| Fenced::new(connection.clone(), prefix, task)).collect()
        };
        let mut all = vec![
            ClosedLoop::boxed("floor", FENCED, fenced("floor", &connection)),
            ClosedLoop::boxed("floor, no deadline", FENCED, fenced("patient", &patient)),
            ClosedLoop::boxed("redis-lock", OURS, (0..tasks).map(|task| Ours::new(ours.clone(), task)).collect()),
            ClosedLoop::boxed(
                "floor, no fence",
                PLAIN,
                (0..tasks).map(|task| Plain::new(connection.clone(), task)).collect(),
            ),
            ClosedLoop::boxed(
                "rslock, no fence",
                PLAIN,
                (0..tasks).map(|task| Rslock::new(rslock.clone(), task)).collect(),
            ),
        ];
        all.extend(foreign::all(&url, foreign::Task::Lock, tasks)?);
        Ok(all)
    })
}

/// The same transport for all.
fn client(url: &str) -> Result<Client> {
    let info = url.into_connection_info()?;
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    Ok(Client::open(info.set_tcp_settings(tcp))?)
}
