//! What a cache keeps in its process, against the map it is made of and against others that do the same.

mod maps;
mod ours;
mod spin;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use redis::Client;
use redis::caching::CacheConfig;
use redis_cache::NearOptions;
use redis_cache::bench::Near;

use crate::pin::Placement;
use crate::scenario::{BoxFuture, Contenders, Scenario, TURN};
use crate::stage::Stage;
use maps::{Aio, Bare, Cached, Ending, Foyer, Moka};
use ours::Ours;
use spin::Spinning;

pub(crate) const HIT: Scenario =
    near("cache-near-hit", "one task reads values that are there", Placement::Split, |url| reading(url, 1));

pub(crate) const HIT_2: Scenario =
    near("cache-near-hit-2", "two tasks read values that are there", Placement::None, |url| reading(url, 2));

pub(crate) const MISS: Scenario =
    near("cache-near-miss", "one task asks for what is not there", Placement::Split, |_| missing());

pub(crate) const INSERT: Scenario =
    near("cache-near-insert", "one task puts in five times what there is room for", Placement::Split, |_| writing(1));

pub(crate) const INSERT_2: Scenario =
    near("cache-near-insert-2", "two tasks put in five times what there is room for", Placement::None, |_| writing(2));

const KEYS: usize = 1000;

/// Plenty, or room for a fifth of the values.
const ROOM: u64 = 64 << 20;
const TIGHT: u64 = KEYS as u64 / 5 * WEIGHT;

/// What one value counts for in every map.
const WEIGHT: u64 = 300;

const HOUR: Duration = Duration::from_secs(3600);

/// A value as it is after decoding.
type Value = Arc<[u8; 64]>;

const fn near(
    name: &'static str,
    about: &'static str,
    pin: Placement,
    contenders: fn(String) -> BoxFuture<'static, Result<Contenders>>,
) -> Scenario {
    let crates = &["quick_cache", "moka", "foyer", "cached", "redis", "tokio", "kv-redis", "redis-cache"];
    Scenario { name, about, pin, turn: TURN, crates, stage: Stage::Server, less_of: None, contenders }
}

fn ours(room: u64) -> Result<Arc<Near<[u8; 64]>>> {
    Ok(Arc::new(Near::new(NearOptions::default().max_age(HOUR).max_bytes(usize::try_from(room)?))?))
}

fn reading(url: String, tasks: usize) -> BoxFuture<'static, Result<Contenders>> {
    Box::pin(async move {
        let names = names("there");
        let config = redis::AsyncConnectionConfig::new().set_cache_config(CacheConfig::new());
        let client = Client::open(format!("{url}?protocol=resp3"))?;
        let aio = Aio(client.get_multiplexed_async_connection_with_config(&config).await?);
        let (near, bare, moka) = (ours(ROOM)?, Bare::new(ROOM), Moka::new(ROOM));
        let (told, tracked) = (Ours::connect(&url, false).await?, Ours::connect(&url, true).await?);
        let (foyer, cached, ending) = (Foyer::new(ROOM), Cached::new(ROOM), Ending::new(ROOM));
        for name in names.iter() {
            near.put(name).await?;
            ending.put(name).await?;
            told.put(name).await?;
            tracked.put(name).await?;
            bare.put(name).await?;
            moka.put(name).await?;
            foyer.put(name).await?;
            cached.put(name).await?;
            aio.put(name).await?;
            ensure!(near.find(name).await? && bare.find(name).await? && moka.find(name).await?, "not kept");
        }
        Ok(vec![
            Spinning::reads("quick_cache: no deadline, no invalidation", &bare, &names, tasks, true),
            Spinning::reads("quick_cache with a deadline", &ending, &names, tasks, true),
            Spinning::reads("the near store alone", &near, &names, tasks, true),
            Spinning::reads("get", &told, &names, tasks, true),
            Spinning::reads("get, tracked", &tracked, &names, tasks, true),
            Spinning::reads("moka", &moka, &names, tasks, true),
            Spinning::reads("foyer, no deadline", &foyer, &names, tasks, true),
            Spinning::reads("cached, sharded", &cached, &names, tasks, true),
            Spinning::reads("redis cache-aio", &aio, &names, tasks, true),
        ])
    })
}

fn missing() -> BoxFuture<'static, Result<Contenders>> {
    Box::pin(async move {
        let (near, bare, moka) = (ours(ROOM)?, Bare::new(ROOM), Moka::new(ROOM));
        for name in names("there").iter() {
            near.put(name).await?;
            bare.put(name).await?;
            moka.put(name).await?;
        }
        let absent = names("other");
        Ok(vec![
            Spinning::reads("quick_cache", &bare, &absent, 1, false),
            Spinning::reads("near store", &near, &absent, 1, false),
            Spinning::reads("moka", &moka, &absent, 1, false),
        ])
    })
}

fn writing(tasks: usize) -> BoxFuture<'static, Result<Contenders>> {
    Box::pin(async move {
        let names = names("there");
        let (near, bare, moka) = (ours(TIGHT)?, Bare::new(TIGHT), Moka::new(TIGHT));
        let (foyer, cached) = (Foyer::new(TIGHT), Cached::new(TIGHT));
        let mut kept = 0;
        for name in names.iter() {
            near.put(name).await?;
        }
        for name in names.iter() {
            kept += usize::from(near.find(name).await?);
        }
        ensure!((KEYS / 10..=KEYS / 4).contains(&kept), "{kept} values have room");
        Ok(vec![
            Spinning::writes("quick_cache: no deadline, no invalidation", &bare, &names, tasks),
            Spinning::writes("near store, with its epoch", &near, &names, tasks),
            Spinning::writes("moka", &moka, &names, tasks),
            Spinning::writes("foyer, no deadline", &foyer, &names, tasks),
            Spinning::writes("cached, sharded", &cached, &names, tasks),
        ])
    })
}

fn names(kind: &str) -> Arc<[String]> {
    (0..KEYS).map(|key| format!("cache:{{{kind}:{key:010}}}")).collect()
}

/// What a map is asked to do.
trait Asked: Clone + Send + Sync + 'static {
    fn find(&self, name: &str) -> impl Future<Output = Result<bool>> + Send;
    fn put(&self, name: &str) -> impl Future<Output = Result<()>> + Send;
}

fn value() -> Value {
    Arc::new([7; 64])
}

impl Asked for Arc<Near<[u8; 64]>> {
    async fn find(&self, name: &str) -> Result<bool> {
        Ok(std::hint::black_box(self.get(name)).is_some())
    }

    async fn put(&self, name: &str) -> Result<()> {
        // With what it adds of its own, it weighs what it weighs in the others.
        let bytes = usize::try_from(WEIGHT)?.checked_sub(160 + name.len()).context("too light")?;
        ensure!(self.insert(name, value(), bytes, HOUR), "not put in");
        Ok(())
    }
}
