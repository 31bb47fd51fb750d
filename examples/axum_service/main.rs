//! A service on axum behind all guards, and a live page on which they can be switched off.
//!
//! `cargo xtask example axum_service` prints where the page is, and serves until Ctrl-C. Clients of its own keep it moving.

mod args;
mod browser;
mod check;
mod events;
mod guards;
mod job;
mod meter;
mod shop;
mod traffic;

use crate::{args::Args, guards::Guards, job::Job, meter::Meter, shop::Shop};
use anyhow::{Context, Result};
use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderName, StatusCode, header},
    middleware,
    response::{Html, IntoResponse},
    routing::{get, post},
};
use kv_core::{KvStore, MemoryStore};
use kv_redis::RedisStore;
use redis_lock::{LockManager, LockOptions};
use redis_ratelimit::{
    Quota, RateLimitOptions, RateLimiter,
    tower::{Key, LayerOptions, RateLimitLayer},
};
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::watch, time::timeout};

/// What each client may ask for.
const QUOTA: Quota = Quota::per_second(100).burst(50);

/// The service and what is known about it.
struct App {
    store: Arc<dyn KvStore>,
    shop: Shop,
    guards: Arc<Guards>,
    meter: Arc<Meter>,
    /// What the page shows.
    told: watch::Sender<Value>,
}

impl App {
    /// Products within each client's quota; the rest for whoever looks after it.
    fn router(self: Arc<Self>, limit: RateLimitLayer) -> Router {
        let metered = middleware::from_fn_with_state(self.meter.clone(), meter::measure);
        Router::new()
            .route("/products/{id}", get(product).layer(limit).layer(metered))
            .route("/", get(|| async { Html(include_str!("page.html")) }))
            .route("/events", get(events::events))
            .route("/guards/{guard}/{state}", post(switch))
            .route("/health", get(health))
            .route("/metrics", get(metrics))
            .with_state(self)
    }
}

async fn product(State(app): State<Arc<App>>, Path(id): Path<u32>) -> impl IntoResponse {
    match app.shop.product(id).await {
        Ok(Some(product)) => {
            ([(header::CONTENT_TYPE, "application/json")], product.as_str().to_owned()).into_response()
        }
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        // Whoever asks learns that it failed, and not why.
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

async fn switch(State(app): State<Arc<App>>, Path((guard, state)): Path<(String, String)>) -> StatusCode {
    match state.as_str() {
        "on" | "off" if app.guards.switch(&guard, state == "on") => StatusCode::NO_CONTENT,
        _ => StatusCode::NOT_FOUND,
    }
}

/// Well is who can reach its store within a second.
async fn health(State(app): State<Arc<App>>) -> (StatusCode, &'static str) {
    match timeout(Duration::from_secs(1), app.store.exists("health")).await {
        Ok(Ok(_)) => (StatusCode::OK, "well\n"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n"),
    }
}

/// In the text format of Prometheus.
async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], app.meter.totals(&app.shop).prometheus())
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::from_env();
    let store: Arc<dyn KvStore> = match &args.redis {
        Some(url) => Arc::new(RedisStore::connect(url).await.context("cannot use the Redis of --redis or REDIS_URL")?),
        None => Arc::new(MemoryStore::new()),
    };
    // A prefix of its own, so that runs never meet.
    let prefix = format!("service-{:08x}", rand::random::<u32>());
    let (guards, meter) = (Arc::new(Guards::default()), Arc::new(Meter::default()));

    let limiter = RateLimiter::new(store.clone(), QUOTA, RateLimitOptions::default().prefix(format!("{prefix}:rate")))?;
    let is_limited = guards.clone();
    let options = LayerOptions::default().name("products").skip(move |_| !is_limited.limit());
    let limit = RateLimitLayer::with_options(limiter, Key::header(HeaderName::from_static("x-api-key")), options)?;
    let locks = LockManager::new(store.clone(), LockOptions::default().prefix(format!("{prefix}:lock")))?;
    let shop = Shop::new(store.clone(), guards.clone(), &format!("{prefix}:product"))?;
    Job::start(&locks, &guards, &meter);

    let app = Arc::new(App { store, shop, guards, meter, told: watch::Sender::default() });
    tokio::spawn(events::tell(app.clone()));
    let listener = TcpListener::bind(("127.0.0.1", args.port)).await.context("cannot listen")?;
    let address = listener.local_addr()?;
    let router = app.clone().router(limit);
    tokio::spawn(async move { axum::serve(listener, router).await });
    traffic::start(address);
    println!("http://{address}/ on {}", if args.redis.is_some() { "Redis" } else { "memory" });

    if args.check {
        check::check(address).await?;
    }
    if let Some(screenshot) = &args.browser {
        browser::check(address, screenshot).await?;
    }
    if !args.check && args.browser.is_none() {
        tokio::signal::ctrl_c().await?;
    }
    println!("{}", app.meter.totals(&app.shop).prometheus());
    Ok(())
}
