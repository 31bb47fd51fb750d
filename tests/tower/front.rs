//! A limiter that asks less often, behind the layer.

use super::{Inner, field, layer, limiter, request, send, status};
use crate::{backend::eventually, cancellation::stepping};
use kv_core::KvStore;
use redis_ratelimit::{FailurePolicy, FrontLimiter, FrontOptions, Quota, tower::LayerOptions};
use std::sync::Arc;
use tower_layer::Layer;

#[tokio::test]
async fn what_stands_in_front_decides() {
    let store: Arc<dyn KvStore> = Arc::new(stepping());
    let elsewhere = limiter(&store, Quota::per_hour(1), "http");
    let front = FrontLimiter::new(elsewhere.clone(), FrontOptions::default().deny_cache(10)).unwrap();
    let service = layer(front.clone(), LayerOptions::default()).layer(Inner::default());
    assert_eq!(status(&service, "ada").await, 200);
    assert_eq!(status(&service, "ada").await, 429);
    // Nothing but its memory denies this one.
    elsewhere.reset("ada").await.unwrap();
    let refused = send(&service, request("ada", "/")).await.unwrap();
    let headers = refused.headers();
    assert_eq!((refused.status().as_u16(), field(headers, "ratelimit-policy")), (429, r#""default";q=1;w=3600"#));
    let wait = field(headers, "retry-after");
    assert_eq!(field(headers, "ratelimit"), format!("\"default\";r=0;t={wait}"));
    front.reset("ada").await.unwrap();
    assert_eq!(status(&service, "ada").await, 200);
}

#[tokio::test]
async fn what_the_store_did_not_count_is_not_given_back_to_it() {
    let store = stepping();
    let shared: Arc<dyn KvStore> = Arc::new(store.clone());
    let limiter = limiter(&shared, Quota::per_day(5), "http");
    let front = FrontLimiter::new(limiter.clone(), FrontOptions::default().on_failure(FailurePolicy::Open)).unwrap();
    let service = layer(front, LayerOptions::default().refund(|_, cost| cost)).layer(Inner::default());
    assert!(limiter.check_n("ada", 3).await.unwrap().is_allowed());

    store.layer().lose_next_reply();
    let passed = send(&service, request("ada", "/")).await.unwrap();
    assert_eq!((passed.status().as_u16(), field(passed.headers(), "ratelimit")), (200, r#""default";r=5"#));
    assert_eq!(
        limiter.peek("ada").await.unwrap().remaining(),
        1,
        "it was taken all the same, or it was not: nobody knows"
    );

    // What one gives back that was counted comes after what the other would have.
    let passed = send(&service, request("ada", "/")).await.unwrap();
    assert!(field(passed.headers(), "ratelimit").starts_with("\"default\";r=0;t="));
    eventually("it is given back", || async { limiter.peek("ada").await.unwrap().remaining() > 0 }).await;
    assert_eq!(limiter.peek("ada").await.unwrap().remaining(), 1);
}
