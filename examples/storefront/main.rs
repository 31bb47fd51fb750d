//! A product service on all six crates: rate limited, read through a compressed cache, writing under fenced locks.
//!
//! What a service would copy comes first; the rest of this folder simulates its database and its clients.

mod args;
mod clients;
mod database;
mod fleet;
mod guards;
mod measured;
mod product;
mod progress;
mod report;
mod run;
mod tally;
mod traffic;

use crate::{
    args::Args,
    database::{Database, Stale},
    product::Product,
};
use anyhow::Result;
use kv_core::{KvStore, MemoryStore, Transform};
use kv_redis::RedisStore;
use redis_cache::{Cache, CacheOptions};
use redis_compress::{CompressOptions, Compressor};
use redis_lock::{LockError, LockManager, LockOptions};
use redis_ratelimit::{Decision, Quota, RateLimitOptions, RateLimiter};
use std::{process::ExitCode, sync::Arc, time::Duration};

/// How long a product is served from the cache at most, and its absence.
const TTL: Duration = Duration::from_secs(15 * 60);
/// How long a lock is held at most, and waited for.
const LEASE: Duration = Duration::from_secs(1);
const WAIT: Duration = Duration::from_secs(5);

/// The service. Every part shares one store.
struct Storefront {
    limiter: RateLimiter,
    products: Cache<Product>,
    locks: LockManager,
    database: Arc<Database>,
}

/// What a client gets for asking after a product.
enum Response {
    Found(Arc<Product>),
    NotFound,
    TooManyRequests,
}

/// What becomes of a write under a lock.
enum Outcome {
    Written,
    NothingToDo,
    Busy,
    Refused,
}

/// The same service runs on a Redis, and without one in memory.
async fn open_store(redis: Option<&str>) -> kv_core::Result<Arc<dyn KvStore>> {
    Ok(match redis {
        Some(url) => Arc::new(RedisStore::connect(url).await?),
        None => Arc::new(MemoryStore::new()),
    })
}

/// The transform that every cached value goes through.
fn compression() -> kv_core::Result<Compressor> {
    Compressor::new(CompressOptions::default())
}

impl Storefront {
    fn new(
        store: Arc<dyn KvStore>,
        database: Arc<Database>,
        compression: Arc<dyn Transform>,
        quota: Quota,
        prefix: &str,
    ) -> kv_core::Result<Self> {
        let limits = RateLimitOptions::default().prefix(format!("{prefix}:rate"));
        let caching = CacheOptions::default()
            .prefix(format!("{prefix}:product"))
            .ttl(TTL)
            .negative_ttl(TTL)
            .transform(compression);
        let locking = LockOptions::default().prefix(format!("{prefix}:lock")).lease(LEASE);
        Ok(Self {
            limiter: RateLimiter::new(store.clone(), quota, limits)?,
            products: Cache::new(store.clone(), caching)?,
            locks: LockManager::new(store, locking)?,
            database,
        })
    }

    /// Serves a request: within the client's quota, from the cache, else from the database.
    async fn product(&self, client: &str, id: u64) -> Result<Response> {
        match self.limiter.check(client).await {
            Ok(Decision::Allowed { .. }) => {}
            Ok(Decision::Denied { .. }) => return Ok(Response::TooManyRequests),
            // Without Redis this shop would rather sell than limit.
            Err(error) if error.is_temporary() => {}
            Err(error) => return Err(error.into()),
        }
        let database = self.database.clone();
        let product = self.products.get_or_load(&id.to_string(), || async move { database.product(id).await }).await?;
        Ok(product.map_or(Response::NotFound, Response::Found))
    }

    /// Sells one: read and write are two calls to the database, so they need the lock.
    async fn buy(&self, id: u64) -> Result<Outcome> {
        let row = format!("stock:{id}");
        let guard = match self.locks.acquire(&row, WAIT).await {
            Ok(guard) => guard,
            Err(LockError::Timeout) => return Ok(Outcome::Busy),
            Err(error) => return Err(error.into()),
        };
        let left = self.database.stock(id).await?;
        if left == 0 {
            return Ok(Outcome::NothingToDo);
        }
        // The lock alone cannot stop a holder that overslept its lease: the database compares the tokens.
        if let Err(Stale) = self.database.write(&row, left - 1, guard.fencing_token()).await? {
            return Ok(Outcome::Refused);
        }
        self.products.invalidate(&id.to_string()).await?;
        guard.release().await?;
        Ok(Outcome::Written)
    }

    /// The job of a night, once over all processes. `pause` stands for a process that freezes while it holds the lock.
    async fn nightly(&self, night: u64, pause: Duration) -> Result<Outcome> {
        let guard = match self.locks.acquire("nightly", WAIT).await {
            Ok(guard) => guard,
            Err(LockError::Timeout) => return Ok(Outcome::Busy),
            Err(error) => return Err(error.into()),
        };
        if self.database.read("nightly").await?.is_some_and(|done| done >= night) {
            return Ok(Outcome::NothingToDo);
        }
        tokio::time::sleep(pause).await;
        let written = self.database.write("nightly", night, guard.fencing_token()).await?;
        Ok(if written.is_ok() { Outcome::Written } else { Outcome::Refused })
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::from_env();
    match run::main(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
