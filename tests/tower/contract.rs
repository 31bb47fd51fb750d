//! The contract of `tower::Service`, by a service that insists on it.

use super::{Inner, layer, limiter, request, send, status, still};
use crate::{
    backend::eventually,
    cancellation::{at_every_await, poll_times, stepping},
};
use http::Request;
use kv_core::KvStore;
use redis_ratelimit::{
    Quota,
    tower::{LayerOptions, RateLimitService},
};
use std::{
    future::poll_fn,
    pin::pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Waker},
};
use tokio::task::yield_now;
use tower_layer::Layer;
use tower_service::Service;

#[tokio::test]
async fn readiness_is_the_inner_services_and_is_used_or_given_back() {
    let (store, _) = still();
    let inner = Inner::default();
    let mut service = layer(limiter(&store, Quota::per_day(1), "http"), LayerOptions::default()).layer(inner.clone());
    poll_fn(|context| {
        assert!(Service::<Request<()>>::poll_ready(&mut service, context).is_pending(), "not ready at once");
        Poll::Ready(())
    })
    .await;
    poll_fn(|context| Service::<Request<()>>::poll_ready(&mut service, context)).await.unwrap();
    assert_eq!(inner.places(), 1);
    let response = service.call(request("ada", "/"));
    assert_eq!((inner.calls(), inner.places()), (0, 1), "nothing is called before the decision");
    assert_eq!(response.await.unwrap().status(), 200);
    assert_eq!((inner.calls(), inner.places()), (1, 0));

    poll_fn(|context| Service::<Request<()>>::poll_ready(&mut service, context)).await.unwrap();
    let response = service.call(request("ada", "/"));
    assert_eq!(inner.places(), 1, "held for as long as it may be needed");
    assert_eq!(response.await.unwrap().status(), 429);
    assert_eq!((inner.calls(), inner.places()), (1, 0), "and given back unused");
}

#[tokio::test]
async fn responses_may_be_awaited_in_any_order() {
    let (store, _) = still();
    let inner = Inner::default();
    let mut service = layer(limiter(&store, Quota::per_day(5), "http"), LayerOptions::default()).layer(inner.clone());
    let mut responses = Vec::new();
    for _ in 0..3 {
        poll_fn(|context| Service::<Request<()>>::poll_ready(&mut service, context)).await.unwrap();
        responses.push(service.call(request("ada", "/")));
    }
    assert_eq!(inner.places(), 3);
    for response in responses.into_iter().rev() {
        assert_eq!(response.await.unwrap().status(), 200);
    }
    assert_eq!((inner.calls(), inner.places()), (3, 0));
}

#[tokio::test]
async fn a_dropped_response_takes_its_cost_once_or_not_at_all_and_leaves_nothing() {
    at_every_await(|polls| async move {
        let store = stepping();
        let inner = Inner::default();
        let shared: Arc<dyn KvStore> = Arc::new(store.clone());
        let limiter = limiter(&shared, Quota::per_day(5), "http");
        let service = layer(limiter.clone(), LayerOptions::default()).layer(inner.clone());
        let done = poll_times(polls, send(&service, request("ada", "/"))).await.is_some();
        let left = limiter.peek("ada").await.unwrap().remaining();
        assert!(left == 4 || (left == 5 && inner.calls() == 0), "{left} left after {} calls", inner.calls());
        assert_eq!(inner.places(), 0);
        assert_eq!(status(&service, "ada").await, 200);
        done
    })
    .await;
}

#[tokio::test]
async fn a_response_does_not_wait_for_its_refund() {
    let store: Arc<dyn KvStore> = Arc::new(stepping());
    let limiter = limiter(&store, Quota::per_day(5), "http");
    let plain = layer(limiter.clone(), LayerOptions::default()).layer(Inner::default());
    let refunding = LayerOptions::default().refund(|_, cost| cost + 7);
    let refunding = layer(limiter.clone(), refunding).layer(Inner::default());
    assert_eq!(polls(&refunding).await, polls(&plain).await);
    assert!(limiter.check_n("ada", 2).await.unwrap().is_allowed());
    send(&refunding, request("ada", "/")).await.unwrap();
    let back = || async { limiter.peek("ada").await.unwrap().remaining() == 3 };
    eventually("its cost comes back, and no more", back).await;
}

#[tokio::test]
async fn a_refund_whose_reply_is_lost_is_not_asked_for_again() {
    let store = stepping();
    let limiter = limiter(&(Arc::new(store.clone()) as Arc<dyn KvStore>), Quota::per_day(5), "http");
    assert!(limiter.check_n("ada", 4).await.unwrap().is_allowed());
    let lose = store.layer().lose_next.clone();
    let options = LayerOptions::default().refund(move |_, cost| {
        lose.store(true, Ordering::SeqCst);
        cost
    });
    let service = layer(limiter.clone(), options).layer(Inner::default());
    send(&service, request("ada", "/")).await.unwrap();
    eventually("it is given back", || async { !store.layer().lose_next.load(Ordering::SeqCst) }).await;
    for _ in 0..100 {
        yield_now().await;
    }
    assert_eq!(limiter.peek("ada").await.unwrap().remaining(), 1, "once");
}

/// How many polls a response takes.
async fn polls(service: &RateLimitService<Inner>) -> usize {
    for polls in 1.. {
        let client = format!("client {polls}");
        if poll_times(polls, send(service, request(&client, "/"))).await.is_some() {
            return polls;
        }
        assert!(polls < 50, "never done");
    }
    unreachable!()
}

#[test]
fn without_a_runtime_a_refund_is_lost_and_nothing_else() {
    let (store, _) = still();
    let limiter = limiter(&store, Quota::per_day(5), "http");
    let options = LayerOptions::default().refund(|_, cost| cost);
    let service = layer(limiter.clone(), options).layer(Inner::default());
    let mut context = Context::from_waker(Waker::noop());
    let mut response = pin!(send(&service, request("ada", "/")));
    let response = loop {
        if let Poll::Ready(response) = response.as_mut().poll(&mut context) {
            break response.unwrap();
        }
    };
    assert_eq!(response.status(), 200);
}
