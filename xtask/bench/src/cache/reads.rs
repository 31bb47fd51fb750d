//! Hits.

mod peers;

use std::hint::black_box;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use hitbox_derive::CacheableResponse;
use kv_redis::kv_core::{KvStore, Raw};
use kv_redis::{RedisOptions, RedisStore};
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, AsyncConnectionConfig, Client, IntoConnectionInfo};
use redis_cache::{Cache, CacheOptions, Lookup};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use self::peers::{Cached, HITBOX, HitboxBytes, HitboxRecord};
use crate::foreign;
use crate::load::{ClosedLoop, Operation};
use crate::scenario::{BoxFuture, Contenders};

/// What is read.
#[derive(Clone, Copy)]
pub(super) enum Form {
    Bytes,
    Json,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CacheableResponse)]
struct Record {
    id: u64,
    name: String,
    price_cents: u64,
    tags: Vec<String>,
}

const GET: &[(&str, u64)] = &[("get", 1)];
const VALUE: [u8; 100] = [7; 100];

/// So that what expires does not while it is measured.
const HOUR: Duration = Duration::from_secs(3600);

pub(super) fn contenders(url: String, form: Form, tasks: usize) -> BoxFuture<'static, Result<Contenders>> {
    Box::pin(async move {
        let store: Arc<dyn KvStore> = Arc::new(RedisStore::connect(&url).await?);
        let options = CacheOptions::default().ttl(HOUR);
        let (bytes, records) = (
            Cache::with_codec(store.clone(), Raw, options.clone().prefix("bytes"))?,
            Cache::<Record>::new(store.clone(), options.prefix("records"))?,
        );
        let floor = Floor::connect(&url).await?;
        for task in 0..tasks {
            let key = task.to_string();
            ensure!(bytes.insert(&key, Some(&Bytes::from_static(&VALUE))).await?, "not put in");
            ensure!(records.insert(&key, Some(&record(task))).await?, "not put in");
            let () = floor.connection.clone().set(format!("bytes:{task}"), &VALUE[..]).await?;
            let () =
                floor.connection.clone().set(format!("records:{task}"), serde_json::to_vec(&record(task))?).await?;
        }
        let cached = Cached::all(&url, tasks).await?;
        let hitbox = (HitboxBytes::all(&url, tasks).await?, HitboxRecord::all(&url, tasks).await?);
        let keys = |prefix: &'static str| (0..tasks).map(move |task| format!("{prefix}{task}"));
        let mut all = match form {
            Form::Bytes => vec![
                ClosedLoop::boxed("GET", GET, keys("bytes:").map(|key| Bare { floor: floor.clone(), key }).collect()),
                ClosedLoop::boxed("get", GET, keys("").map(|key| Get { cache: bytes.clone(), key }).collect()),
                ClosedLoop::boxed(
                    "kv-redis",
                    GET,
                    keys("bytes:").map(|key| Kv { store: store.clone(), key }).collect(),
                ),
                ClosedLoop::boxed(
                    "get_or_load",
                    GET,
                    keys("").map(|key| GetOrLoad { cache: bytes.clone(), key }).collect(),
                ),
                ClosedLoop::boxed("hitbox-redis, read", HITBOX, hitbox.0),
            ],
            Form::Json => vec![
                ClosedLoop::boxed(
                    "GET, serde_json",
                    GET,
                    keys("records:").map(|key| Decoded(Bare { floor: floor.clone(), key })).collect(),
                ),
                ClosedLoop::boxed("get", GET, keys("").map(|key| Get { cache: records.clone(), key }).collect()),
                ClosedLoop::boxed(
                    "get_or_load",
                    GET,
                    keys("").map(|key| GetOrLoad { cache: records.clone(), key }).collect(),
                ),
                ClosedLoop::boxed("cached, redis store", GET, cached),
                ClosedLoop::boxed("hitbox-redis, bincode", HITBOX, hitbox.1),
            ],
        };
        if let Form::Json = form {
            all.extend(foreign::all(&url, foreign::Task::Read, tasks)?);
        }
        Ok(all)
    })
}

fn record(task: usize) -> Record {
    let tags = vec!["kitchen".to_owned(), "steel".to_owned()];
    Record { id: task as u64, name: "kettle, stainless, 1.7 litres".to_owned(), price_cents: 4200, tags }
}

/// redis-rs with the settings of the store, a deadline included.
#[derive(Clone)]
struct Floor {
    connection: MultiplexedConnection,
    deadline: Duration,
}

impl Floor {
    async fn connect(url: &str) -> Result<Self> {
        let options = RedisOptions::default();
        let info = url.into_connection_info()?;
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        let client = Client::open(info.set_tcp_settings(tcp))?;
        let config =
            AsyncConnectionConfig::new().set_pipeline_buffer_size(options.pipeline_buffer).set_response_timeout(None);
        let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        Ok(Self { connection, deadline: options.deadline })
    }
}

struct Bare {
    floor: Floor,
    key: String,
}

impl Bare {
    async fn value(&mut self) -> Result<Bytes> {
        let value: Option<Bytes> = timeout(self.floor.deadline, self.floor.connection.get(&self.key)).await??;
        value.context("it is there")
    }
}

impl Operation for Bare {
    async fn run(&mut self) -> Result<()> {
        ensure!(black_box(self.value().await?).len() == VALUE.len(), "another value");
        Ok(())
    }
}

struct Decoded(Bare);

impl Operation for Decoded {
    async fn run(&mut self) -> Result<()> {
        let record: Record = serde_json::from_slice(&self.0.value().await?)?;
        ensure!(black_box(Arc::new(record)).price_cents == 4200, "another value");
        Ok(())
    }
}

struct Get<V> {
    cache: Cache<V>,
    key: String,
}

impl<V: Send + Sync + 'static> Operation for Get<V> {
    async fn run(&mut self) -> Result<()> {
        ensure!(matches!(black_box(self.cache.get(&self.key).await?), Lookup::Hit(_)), "it is there");
        Ok(())
    }
}

struct GetOrLoad<V> {
    cache: Cache<V>,
    key: String,
}

impl<V: Send + Sync + 'static> Operation for GetOrLoad<V> {
    async fn run(&mut self) -> Result<()> {
        let load = || async { Err(io::Error::other("nothing is to be loaded")) };
        ensure!(black_box(self.cache.get_or_load(&self.key, load).await?).is_some(), "it is there");
        Ok(())
    }
}

struct Kv {
    store: Arc<dyn KvStore>,
    key: String,
}

impl Operation for Kv {
    async fn run(&mut self) -> Result<()> {
        ensure!(black_box(self.store.get(&self.key).await?).is_some(), "it is there");
        Ok(())
    }
}
