//! What clients get besides the service's own answer.

use super::{Inner, field, layer, limiter, number, request, send, status, still};
use crate::backend::Backend;
use http::{Response, StatusCode};
use kv_core::{Around, Call, Error, ErrorKind, KvStore, Layered, MemoryStore, Result};
use redis_ratelimit::{
    Quota,
    tower::{LayerOptions, Legacy, Mode, OnError, Reason},
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tower_layer::Layer;

/// A store that is away.
#[derive(Clone, Debug)]
struct Away;

impl Around for Away {
    async fn around<T: Send>(&self, _: Call<'_, T>) -> Result<T> {
        Err(Error::new(ErrorKind::Unavailable, "test"))
    }
}

fn away() -> Arc<dyn KvStore> {
    Arc::new(Layered::new(MemoryStore::new(), Away))
}

#[tokio::test]
async fn costs_come_from_the_request() {
    let (store, _) = still();
    let options = LayerOptions::default()
        .cost(|request| request.uri.query().and_then(|query| query.parse().ok()).unwrap_or(0))
        .skip(|request| request.uri.path() == "/health");
    let service = layer(limiter(&store, Quota::per_day(5), "http"), options).layer(Inner::default());
    let get = |path: &'static str| send(&service, request("ada", path));
    assert!(field(get("/?3").await.unwrap().headers(), "ratelimit").contains(";r=2;"));
    let refused = get("/?3").await.unwrap();
    assert_eq!(refused.status(), 429);
    assert!(field(refused.headers(), "ratelimit").contains(";r=2;"), "what remains is true on a denial too");
    let never = get("/?6").await.unwrap();
    assert_eq!((never.status().as_u16(), field(never.headers(), "retry-after")), (429, ""), "waiting never helps");
    assert_eq!(get("/?2").await.unwrap().status(), 200);
    let free = get("/").await.unwrap();
    assert_eq!((free.status().as_u16(), field(free.headers(), "retry-after")), (200, ""));
    let skipped = get("/health?9").await.unwrap();
    assert_eq!((skipped.status().as_u16(), field(skipped.headers(), "ratelimit")), (200, ""));
}

#[tokio::test]
async fn only_failed_logins_are_charged() {
    let backend = Backend::memory();
    let limiter = limiter(&backend.store, Quota::per_day(3), "http");
    let charge = |response: Option<&http::response::Parts>, cost| {
        if response.is_some_and(|response| response.status == StatusCode::UNAUTHORIZED) { 0 } else { cost }
    };
    let service = layer(limiter.clone(), LayerOptions::default().refund(charge)).layer(Inner::default());
    for left in [2, 1, 0] {
        assert_eq!(status(&service, "ada").await, 200);
        let back = || async { limiter.peek("ada").await.unwrap().remaining() == left + 1 };
        crate::backend::eventually("a good login costs nothing", back).await;
        assert_eq!(send(&service, request("ada", "/login")).await.unwrap().status(), 401);
        assert_eq!(limiter.peek("ada").await.unwrap().remaining(), left);
    }
    assert_eq!(status(&service, "ada").await, 429);
}

#[tokio::test]
async fn without_the_store_requests_pass_or_do_not() {
    let serve = |on_error| {
        let options = LayerOptions::default().on_error(on_error).unavailable_retry(Duration::from_millis(1500));
        layer(limiter(&away(), Quota::per_day(1), "http"), options).layer(Inner::default())
    };
    let open = serve(OnError::Pass);
    for _ in 0..3 {
        let response = send(&open, request("ada", "/")).await.unwrap();
        assert_eq!(
            (response.status().as_u16(), response.headers().len()),
            (200, 0),
            "nothing is said that is not known"
        );
    }
    let closed = send(&serve(OnError::Refuse), request("ada", "/")).await.unwrap();
    assert_eq!((closed.status().as_u16(), field(closed.headers(), "retry-after")), (503, "2"));
    assert!(!closed.body().contains("store"), "{}", closed.body());

    let asked = serve(OnError::ask(|error, request| {
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        request.uri.path() != "/login"
    }));
    assert_eq!(status(&asked, "ada").await, 200);
    assert_eq!(send(&asked, request("ada", "/login")).await.unwrap().status(), 503);
}

#[tokio::test]
async fn in_the_shadow_nothing_is_refused() {
    let (store, _) = still();
    for fields in [false, true] {
        let limiter = limiter(&store, Quota::per_day(1), if fields { "told" } else { "untold" });
        let options = LayerOptions::default().mode(Mode::Shadow { fields }).legacy(Legacy::Delta);
        let service = layer(limiter.clone(), options).layer(Inner::default());
        for r in [0, 0, 0] {
            let response = send(&service, request("ada", "/")).await.unwrap();
            assert_eq!((response.status().as_u16(), field(response.headers(), "retry-after")), (200, ""));
            let told = if fields { format!("\"default\";r={r};t=86400") } else { String::new() };
            assert_eq!(field(response.headers(), "ratelimit"), told);
            assert_eq!(response.headers().contains_key("x-ratelimit-remaining"), fields);
        }
        assert_eq!(limiter.peek("ada").await.unwrap().remaining(), 0, "everything is decided all the same");
    }
    let options = LayerOptions::default().mode(Mode::Shadow { fields: true }).on_error(OnError::Refuse);
    let service = layer(limiter(&away(), Quota::per_day(1), "http"), options).layer(Inner::default());
    assert_eq!(status(&service, "ada").await, 200);
}

#[tokio::test]
async fn those_refused_get_what_the_service_wants_them_to() {
    let (store, _) = still();
    let options = LayerOptions::default().name("plan").fields(false).legacy(Legacy::Delta).respond(|refusal| {
        let Reason::Quota(decision) = &refusal.reason else { panic!("{:?}", refusal.reason) };
        assert_eq!((decision.remaining(), refusal.policy, refusal.status().as_u16()), (0, "plan", 429));
        let body = format!("{} must wait {:?} s", refusal.request.uri.path(), refusal.retry_after);
        Response::builder().status(420).header("retry-after", "never").body(body).unwrap()
    });
    let service = layer(limiter(&store, Quota::per_minute(1), "http"), options).layer(Inner::default());
    assert_eq!(status(&service, "ada").await, 200);
    let refused = send(&service, request("ada", "/calm")).await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.body().as_str()), (420, "/calm must wait Some(60) s"));
    assert_eq!(field(refused.headers(), "retry-after"), "never", "its own is left alone");
    assert_eq!(field(refused.headers(), "ratelimit"), "");
    assert_eq!(field(refused.headers(), "x-ratelimit-limit"), "1");
    assert_eq!(field(refused.headers(), "x-ratelimit-remaining"), "0");
    assert_eq!(field(refused.headers(), "x-ratelimit-reset"), "60");
}

#[tokio::test]
async fn jitter_only_adds() {
    let (store, _) = still();
    let options = LayerOptions::default().jitter(Duration::from_secs(100));
    let service = layer(limiter(&store, Quota::per_minute(1), "http"), options).layer(Inner::default());
    assert_eq!(status(&service, "ada").await, 200);
    let mut told = BTreeSet::new();
    for _ in 0..50 {
        let refused = send(&service, request("ada", "/")).await.unwrap();
        let retry = number(field(refused.headers(), "retry-after"));
        assert!((60..=160).contains(&retry), "{retry}");
        assert_eq!(field(refused.headers(), "ratelimit"), format!("\"default\";r=0;t={retry}"));
        told.insert(retry);
    }
    assert!(told.len() > 5, "they do not come back all at once: {told:?}");
}
