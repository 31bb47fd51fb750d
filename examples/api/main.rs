//! An HTTP service on axum whose clients are limited, and the load that shows it: the fields they get, the rates they reach.
//!
//! The service comes first, and is what one would copy; the rest drives it and checks what it did.

mod args;
mod load;

use crate::{
    args::Args,
    load::{Load, Tally},
};
use anyhow::{Context, Result, ensure};
use axum::{
    Router,
    http::{HeaderName, StatusCode},
    routing::get,
};
use kv_core::{KvStore, MemoryStore};
use kv_redis::RedisStore;
use redis_ratelimit::{
    Quota, RateLimitOptions, RateLimiter,
    tower::{Key, LayerOptions, RateLimitLayer},
};
use std::{sync::Arc, time::Duration};
use tokio::net::TcpListener;

/// What each client may do, and how much of it at once.
const QUOTA: Quota = Quota::per_second(50).burst(100);

/// The service: every client within its quota, known by its API key. A report costs as much as ten pages, and nothing if it fails.
fn service(store: Arc<dyn KvStore>, prefix: &str) -> kv_core::Result<Router> {
    let limiter = RateLimiter::new(store, QUOTA, RateLimitOptions::default().prefix(prefix))?;
    let options = LayerOptions::default()
        .name("pages")
        .skip(|request| request.uri.path() == "/health")
        .cost(|request| if request.uri.path() == "/report" { 10 } else { 1 })
        .refund(|response, cost| if response.is_some_and(|response| response.status.is_success()) { 0 } else { cost });
    let layer = RateLimitLayer::with_options(limiter, Key::header(HeaderName::from_static("x-api-key")), options)?;
    Ok(Router::new()
        .route("/", get(|| async { "a page\n" }))
        .route("/report", get(|| async { (StatusCode::INTERNAL_SERVER_ERROR, "no report today\n") }))
        .route("/health", get(|| async { "well\n" }))
        .layer(layer))
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::from_env();
    let store: Arc<dyn KvStore> = match &args.redis {
        Some(url) => Arc::new(RedisStore::connect(url).await.context("cannot use the Redis of --redis or REDIS_URL")?),
        None => Arc::new(MemoryStore::new()),
    };
    // A prefix of its own, so that runs never meet; the keys expire with the buckets.
    let router = service(store, &format!("api-{:08x}", rand::random::<u32>()))?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(async move { axum::serve(listener, router).await });

    let load = Load { address, connections: args.connections, time: args.time };
    println!("{QUOTA:?}, on {}", if args.redis.is_some() { "Redis" } else { "memory" });
    load.show_fields().await?;
    // One client takes all it gets, another stays within its quota.
    let (greedy, modest) =
        tokio::try_join!(load.drive("greedy", Duration::ZERO), load.drive("modest", load.pause(20)))?;
    println!("\n{:<8}{:>10}{:>10}{:>10}{:>12}", "client", "requests", "served", "refused", "served/s");
    for (name, tally) in [("greedy", &greedy), ("modest", &modest)] {
        println!("{name:<8}{:>10}{:>10}{:>10}{:>12.1}", tally.sent(), tally.served, tally.refused, tally.rate());
    }
    server.abort();
    check(&greedy, &modest)
}

/// That the quota was kept to, and could be used.
fn check(greedy: &Tally, modest: &Tally) -> Result<()> {
    let refill = 50.0 * greedy.elapsed.as_secs_f64();
    let served = greedy.served as f64;
    ensure!(served <= 100.0 + refill, "{served} served in {:?} is more than the quota", greedy.elapsed);
    ensure!(served >= 100.0 + refill / 2.0, "{served} served in {:?} is far less than the quota", greedy.elapsed);
    ensure!(greedy.refused > 0, "the greedy client is refused");
    ensure!(modest.refused == 0 && modest.served > 0, "who stays within the quota is never refused");
    Ok(())
}
