//! Whose quota a request uses.

use super::{CLIENT, Inner, field, layer, limiter, request, send, still};
use http::Request;
use kv_core::ErrorKind;
use redis_ratelimit::{
    Quota,
    tower::{Key, LayerOptions, RateLimitLayer, RateLimitService, WithoutKey},
};
use std::net::SocketAddr;
use tower_layer::Layer;

/// A service with one request a day for each client.
fn once(key: Key, options: LayerOptions) -> RateLimitService<Inner> {
    let limiter = limiter(&still().0, Quota::per_day(1), "http");
    RateLimitLayer::with_options(limiter, key, options).unwrap().layer(Inner::default())
}

async fn passes(service: &RateLimitService<Inner>, headers: &[(&str, &str)], peer: Option<&str>) -> bool {
    let mut request = Request::get("/").body(()).unwrap();
    for (name, value) in headers {
        request.headers_mut().append(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    if let Some(peer) = peer {
        request.extensions_mut().insert(peer.parse::<SocketAddr>().unwrap());
    }
    send(service, request).await.unwrap().status() == 200
}

fn peer() -> Key {
    Key::peer(|request| Some(request.extensions.get::<SocketAddr>()?.ip()))
}

#[tokio::test]
async fn what_a_client_writes_into_forwarding_fields_helps_it_nothing() {
    let service = once(Key::forwarded_for(1), LayerOptions::default());
    assert!(passes(&service, &[("x-forwarded-for", "203.0.113.9")], None).await);
    for invented in ["6.6.6.6", "203.0.113.8, 10.0.0.1", "\"", ",", "unknown", "::1"] {
        let chain = format!("{invented}, 203.0.113.9");
        assert!(!passes(&service, &[("x-forwarded-for", &chain)], None).await, "{chain}");
        let lines = [("x-forwarded-for", invented), ("x-forwarded-for", "203.0.113.9")];
        assert!(!passes(&service, &lines, None).await, "{invented} on a line of its own");
        let other = [("forwarded", "for=6.6.6.6"), ("x-forwarded-for", "203.0.113.9")];
        assert!(!passes(&service, &other, None).await, "the field that no proxy writes");
    }
    assert!(passes(&service, &[("x-forwarded-for", "203.0.113.9, 203.0.113.10")], None).await);

    let service = once(Key::forwarded(2), LayerOptions::default());
    let chain = |client: &str| format!("for=6.6.6.6, for={client};proto=https, for=10.0.0.1");
    assert!(passes(&service, &[("forwarded", &chain("203.0.113.9"))], None).await);
    assert!(!passes(&service, &[("forwarded", &chain("\"203.0.113.9:1234\""))], None).await);
    assert!(passes(&service, &[("forwarded", &chain("\"[2001:db8::1]\""))], None).await);
}

#[tokio::test]
async fn an_ipv6_client_does_not_get_a_quota_for_each_of_its_addresses() {
    let service = once(peer(), LayerOptions::default());
    assert!(passes(&service, &[], Some("[2001:db8:1:2::1]:1")).await);
    assert!(!passes(&service, &[], Some("[2001:db8:1:2:ffff::2]:2")).await);
    assert!(passes(&service, &[], Some("[2001:db8:1:3::1]:1")).await);
    assert!(passes(&service, &[], Some("192.0.2.1:1")).await);
    assert!(!passes(&service, &[], Some("[::ffff:192.0.2.1]:2")).await);
    let service = once(peer().ipv6_prefix(128), LayerOptions::default());
    assert!(passes(&service, &[], Some("[2001:db8:1:2::1]:1")).await);
    assert!(passes(&service, &[], Some("[2001:db8:1:2::2]:2")).await);
}

#[tokio::test]
async fn requests_without_a_key_do_as_they_are_told() {
    let without = |policy| LayerOptions::default().without_key(policy);
    let service = once(peer(), LayerOptions::default());
    assert!(passes(&service, &[], None).await);
    assert!(!passes(&service, &[], None).await, "they share one quota");
    assert!(passes(&service, &[], Some("192.0.2.1:1")).await);

    let service = once(Key::header(CLIENT), without(WithoutKey::Pass));
    let long = "x".repeat(1025);
    for value in ["", "", &long, &long] {
        assert!(passes(&service, &[("client", value)], None).await);
        assert!(passes(&service, &[], None).await);
    }
    let service = once(Key::request(|_| Some(String::new())), without(WithoutKey::Refuse));
    let response = send(&service, request("ada", "/")).await.unwrap();
    assert_eq!((response.status().as_u16(), field(response.headers(), "retry-after")), (400, ""));
    assert_eq!(field(response.headers(), "content-type"), "application/problem+json");
    assert_eq!(field(response.headers(), "ratelimit"), "");
}

#[tokio::test]
async fn a_header_with_anything_in_it_is_a_key_or_none() {
    let service = once(Key::header(CLIENT), LayerOptions::default());
    for id in ["{a}", "a%7D", "x", &"x".repeat(1024), "ä"] {
        assert!(passes(&service, &[("client", id)], None).await, "{id}");
        assert!(!passes(&service, &[("client", id)], None).await, "{id}");
    }
}

#[test]
fn what_can_never_work_is_refused_by_name() {
    let limiter = limiter(&still().0, Quota::per_day(1), "http");
    let refused = |key: Key, options: LayerOptions| {
        let error = RateLimitLayer::with_options(limiter.clone(), key, options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        error.to_string()
    };
    let header = || Key::header(CLIENT);
    for name in ["", "ümlaut", "a\nb", "\u{7f}"] {
        assert!(refused(header(), LayerOptions::default().name(name)).contains("name must be"));
    }
    let nobody = LayerOptions::default().without_key(WithoutKey::Shared(String::new()));
    assert!(refused(header(), nobody).contains("without_key"));
    assert!(refused(Key::forwarded_for(0), LayerOptions::default()).contains("key: with no proxy"));
    assert!(refused(Key::forwarded(0), LayerOptions::default()).contains("key: with no proxy"));
    for bits in [0, 129] {
        assert!(refused(peer().ipv6_prefix(bits), LayerOptions::default()).contains("ipv6_prefix"));
    }
    drop(layer(limiter.clone(), LayerOptions::default().name("a \"quoted\" \\ name")));
}
