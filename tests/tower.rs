//! The layer for HTTP services: what passes, what is refused, and what is said of it.

mod answers;
mod contract;
mod front;
mod inner;
mod keys;
mod wire;

use crate::backend::{Backend, eventually, on_every_backend};
use http::{HeaderMap, HeaderName, Request, Response};
use inner::{Broken, Inner};
use kv_core::{Clock, KvStore, MemoryStore};
use redis_ratelimit::{
    Algorithm, Quota, RateLimitOptions, RateLimiter,
    tower::{Key, LayerOptions, Limit, RateLimitLayer, RateLimitService},
};
use std::{future::poll_fn, sync::Arc, time::Duration};
use tower_layer::Layer;
use tower_service::Service;

on_every_backend!(
    a_burst_passes_and_more_is_refused,
    what_a_request_did_not_use_is_given_back,
    two_layers_tell_of_both,
    concurrent_requests_never_exceed_the_burst,
);

const CLIENT: HeaderName = HeaderName::from_static("client");

fn limiter(store: &Arc<dyn KvStore>, quota: Quota, prefix: &str) -> RateLimiter {
    RateLimiter::new(store.clone(), quota, RateLimitOptions::default().prefix(prefix)).unwrap()
}

fn layer(limiter: impl Limit + 'static, options: LayerOptions) -> RateLimitLayer {
    RateLimitLayer::with_options(limiter, Key::header(CLIENT), options).unwrap()
}

/// A store on a clock that stands still.
fn still() -> (Arc<dyn KvStore>, Clock) {
    let clock = Clock::manual(1_700_000_000_000_000);
    (Arc::new(MemoryStore::with_clock(clock.clone())), clock)
}

fn request(client: &str, path: &str) -> Request<()> {
    Request::get(path).header(CLIENT, client).body(()).unwrap()
}

/// Sends a request as a server does: on a clone that has been polled ready.
async fn send<S>(service: &S, request: Request<()>) -> Result<Response<String>, S::Error>
where
    S: Service<Request<()>, Response = Response<String>> + Clone,
{
    let mut service = service.clone();
    poll_fn(|context| service.poll_ready(context)).await?;
    service.call(request).await
}

async fn status(service: &RateLimitService<Inner>, client: &str) -> u16 {
    send(service, request(client, "/")).await.unwrap().status().as_u16()
}

/// A field, of which there is one line or none.
fn field<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let mut lines = headers.get_all(name).iter();
    let line = lines.next().map_or("", |line| line.to_str().unwrap());
    assert!(lines.next().is_none(), "{name} has one line: {headers:?}");
    line
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| panic!("no number: {text:?}"))
}

async fn a_burst_passes_and_more_is_refused(backend: &Backend) {
    let inner = Inner::default();
    let service = layer(limiter(&backend.store, Quota::per_hour(10).burst(2), "http"), LayerOptions::default())
        .layer(inner.clone());
    for left in [1, 0] {
        let response = send(&service, request("ada", "/")).await.unwrap();
        assert_eq!((response.status().as_u16(), response.body().as_str()), (200, "served"));
        let headers = response.headers();
        assert_eq!(field(headers, "ratelimit-policy"), r#""default";q=2;w=720"#);
        let (limit, next) = field(headers, "ratelimit").rsplit_once("t=").unwrap();
        assert_eq!(limit, format!("\"default\";r={left};"));
        assert!((350..=360).contains(&number(next)), "{next}");
        assert_eq!((field(headers, "retry-after"), field(headers, "x-ratelimit-limit")), ("", ""));
    }
    let refused = send(&service, request("ada", "/")).await.unwrap();
    assert_eq!(refused.status(), 429);
    let headers = refused.headers();
    assert!((350..=360).contains(&number(field(headers, "retry-after"))));
    assert!(field(headers, "ratelimit").starts_with("\"default\";r=0;t="), "{headers:?}");
    assert_eq!(field(headers, "content-type"), "application/problem+json");
    assert_eq!(
        refused.body(),
        "{\"type\":\"https://iana.org/assignments/http-problem-types#quota-exceeded\",\
         \"title\":\"Request cannot be satisfied as assigned quota has been exceeded\",\
         \"status\":429,\"violated-policies\":[\"default\"]}"
    );
    assert_eq!(inner.calls(), 2, "decided before the service is called");
    assert_eq!(status(&service, "grace").await, 200);
}

async fn what_a_request_did_not_use_is_given_back(backend: &Backend) {
    let limiter = limiter(&backend.store, Quota::per_day(3), "http");
    let options = LayerOptions::default().cost(|request| if request.uri.path() == "/" { 1 } else { 2 }).refund(
        |response, cost| if response.is_none_or(|response| response.status.is_server_error()) { cost } else { 0 },
    );
    let service = layer(limiter.clone(), options).layer(Inner::default());
    let all_back = || async { limiter.peek("ada").await.unwrap().remaining() == 3 };
    for _ in 0..3 {
        let failed = send(&service, request("ada", "/fail")).await.unwrap();
        assert_eq!(failed.status(), 500);
        assert!(field(failed.headers(), "ratelimit").starts_with("\"default\";r=1;"), "said before it is given back");
        eventually("it is given back", all_back).await;
        assert_eq!(send(&service, request("ada", "/error")).await.unwrap_err(), Broken);
        eventually("it is given back", all_back).await;
    }
    for _ in 0..3 {
        assert_eq!(status(&service, "ada").await, 200);
    }
    assert_eq!(send(&service, request("ada", "/fail")).await.unwrap().status(), 429);
    assert_eq!(limiter.peek("ada").await.unwrap().remaining(), 0, "a denial took nothing, and gives nothing back");
}

async fn two_layers_tell_of_both(backend: &Backend) {
    let minutes = limiter(&backend.store, Quota::per_minute(50), "minutes");
    let hours = layer(limiter(&backend.store, Quota::per_hour(1), "hours"), LayerOptions::default().name("perhr"));
    let service = layer(minutes.clone(), LayerOptions::default().name("permin")).layer(hours.layer(Inner::default()));
    let policies = r#""perhr";q=1;w=3600, "permin";q=50;w=60"#;

    let served = send(&service, request("ada", "/")).await.unwrap();
    assert_eq!((served.status().as_u16(), field(served.headers(), "ratelimit-policy")), (200, policies));
    assert_eq!(field(served.headers(), "ratelimit"), r#""perhr";r=0;t=3600, "permin";r=49;t=2"#);
    let refused = send(&service, request("ada", "/")).await.unwrap();
    assert_eq!((refused.status().as_u16(), field(refused.headers(), "ratelimit-policy")), (429, policies));
    assert!(refused.body().contains("\"violated-policies\":[\"perhr\"]"), "{}", refused.body());
    assert!(number(field(refused.headers(), "retry-after")) > 3500);
    assert!(minutes.peek("ada").await.unwrap().remaining() <= 49, "the outer one counts what the inner one refuses");
}

async fn concurrent_requests_never_exceed_the_burst(backend: &Backend) {
    let inner = Inner::default();
    let service =
        layer(limiter(&backend.store, Quota::per_day(20), "http"), LayerOptions::default()).layer(inner.clone());
    let requests: Vec<_> = (0..60)
        .map(|_| {
            let service = service.clone();
            tokio::spawn(async move { status(&service, "ada").await })
        })
        .collect();
    let mut served = 0;
    for request in requests {
        served += u32::from(request.await.unwrap() == 200);
    }
    assert_eq!((served, inner.calls()), (20, 20));
}

#[tokio::test]
async fn who_waits_as_long_as_told_is_served_and_a_second_less_is_not_enough() {
    let quotas = [
        Quota::per_minute(7).burst(3),
        Quota::per_minute(7).algorithm(Algorithm::FixedWindow),
        Quota::per_minute(7).algorithm(Algorithm::AlignedWindow),
        Quota::per_minute(7).algorithm(Algorithm::SlidingWindow),
        Quota::per_minute(7).algorithm(Algorithm::SlidingLog),
        Quota::per_minute(3).burst(7).algorithm(Algorithm::IntervalRefill),
    ];
    for quota in quotas {
        who_waits_is_served(quota).await;
    }
}

async fn who_waits_is_served(quota: Quota) {
    let (store, clock) = still();
    let service = layer(limiter(&store, quota, "http"), LayerOptions::default()).layer(Inner::default());
    for pause in [0, 1, 999_999, 1_000_000, 3_333_333, 59_000_001] {
        clock.advance(Duration::from_micros(pause));
        let refused = loop {
            let response = send(&service, request("ada", "/")).await.unwrap();
            if response.status() == 429 {
                break response;
            }
        };
        let wait = number(field(refused.headers(), "retry-after"));
        let next = number(field(refused.headers(), "ratelimit").rsplit_once("t=").unwrap().1);
        assert_eq!(wait, next, "{quota:?}");
        clock.advance(Duration::from_secs(wait - 1));
        assert_eq!(status(&service, "ada").await, 429, "{quota:?}");
        clock.advance(Duration::from_secs(1));
        assert_eq!(status(&service, "ada").await, 200, "{quota:?}");
    }
}
