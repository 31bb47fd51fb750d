//! A [`tower` layer](RateLimitLayer) that limits the rate of HTTP requests and tells clients where they stand.
//!
//! The decision is made before the inner service is called: one round trip a request. Clients get the fields of
//! [draft-ietf-httpapi-ratelimit-headers-11](https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/11/),
//! `RateLimit-Policy` and `RateLimit`, and those refused a `Retry-After` that is never too early.

mod address;
mod fields;
mod front;
mod gate;
mod key;
mod layer;
mod limit;
mod options;
mod policies;
mod refunds;
mod refusal;
mod service;

pub use {
    key::Key,
    layer::RateLimitLayer,
    limit::Limit,
    options::LayerOptions,
    policies::{Legacy, Mode, OnError, Unit, WithoutKey},
    refusal::{Reason, Refusal},
    service::RateLimitService,
};
