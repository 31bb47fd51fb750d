//! Checks of a limiter, against the least code that sends the same script and against what `redis_rate` sends.

mod front;
mod ours;
mod script;

use std::sync::Arc;

use anyhow::Result;
use kv_redis::{RedisOptions, RedisStore};
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo};
use redis_ratelimit::Quota;

use crate::foreign;
use crate::pin::Placement;
use crate::scenario::{BoxFuture, Contenders, Scenario, TURN};
use crate::stage::Stage;

pub(crate) const CHECK: Scenario =
    check("ratelimit-check", "one task checks one key", Placement::Same, |url| contenders(url, 1, 1));

pub(crate) const CHECK_KEYS: Scenario =
    check("ratelimit-check-keys", "one task checks 10,000 keys", Placement::Same, |url| contenders(url, 1, KEYS));

pub(crate) const CHECK_64: Scenario =
    check("ratelimit-check-64", "64 tasks check one key", Placement::Split, |url| contenders(url, 64, 1));

pub(crate) const CHECK_64_KEYS: Scenario =
    check("ratelimit-check-64-keys", "64 tasks check 10,000 keys", Placement::Split, |url| contenders(url, 64, KEYS));

/// What says no, and writes nothing.
pub(crate) const DENIED: Scenario =
    check("ratelimit-denied", "one task checks one key, and is denied", Placement::Same, |url| {
        Box::pin(async move {
            let ours = ours::Denied::new(&RedisStore::connect(&url).await?).await?;
            let [floor, redis_rate] = scripts(&url).await?.denied().await?.boxed();
            Ok(vec![floor, ours.boxed(), redis_rate])
        })
    });

/// What is decided without the server.
pub(crate) const LOCAL: Scenario =
    check("ratelimit-local", "one task checks one key, and asks nobody", Placement::Split, front::contenders);

const KEYS: usize = 10_000;

/// What nobody reaches: every check is admitted and writes.
const QUOTA: Quota = Quota::per_second(RATE);

const RATE: u64 = 1_000_000;

const fn check(
    name: &'static str,
    about: &'static str,
    pin: Placement,
    contenders: fn(String) -> BoxFuture<'static, Result<Contenders>>,
) -> Scenario {
    let crates = &["redis", "tokio", "kv-redis", "redis-ratelimit", "governor", "limitador"];
    Scenario { name, about, pin, turn: TURN, crates, stage: Stage::Server, less_of: None, contenders }
}

fn contenders(url: String, tasks: usize, keys: usize) -> BoxFuture<'static, Result<Contenders>> {
    Box::pin(async move {
        let scripts = scripts(&url).await?;
        let store = RedisStore::connect(&url).await?;
        let mut all = vec![scripts.same(tasks, keys)];
        all.extend(ours::contenders(&store, tasks, keys)?);
        all.push(scripts.redis_rate(tasks, keys));
        if keys == 1 {
            all.extend(foreign::all(&url, foreign::Task::Check, tasks)?);
        }
        Ok(all)
    })
}

async fn scripts(url: &str) -> Result<script::Scripts> {
    let options = RedisOptions::default();
    let info = url.into_connection_info()?;
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    // The settings of the store's own connection.
    let config =
        AsyncConnectionConfig::new().set_pipeline_buffer_size(options.pipeline_buffer).set_response_timeout(None);
    let client = Client::open(info.set_tcp_settings(tcp))?;
    let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    script::Scripts::load(connection, options.deadline).await
}

/// Ids one after the other, each task with its own beginning.
#[derive(Clone)]
struct Ids {
    all: Arc<[String]>,
    next: usize,
}

impl Ids {
    fn of_tasks(tasks: usize, keys: usize, name: impl Fn(usize) -> String) -> impl Iterator<Item = Self> {
        let all: Arc<[String]> = (0..keys).map(name).collect();
        (0..tasks).map(move |task| Self { all: all.clone(), next: task * keys / tasks })
    }

    fn next(&mut self) -> &str {
        self.next = (self.next + 1) % self.all.len();
        &self.all[self.next]
    }
}
