use super::{Key, LayerOptions, Limit, RateLimitService, gate::Gate};
use kv_core::Result;
use std::sync::Arc;
use tower_layer::Layer;

/// Limits the rate of requests to a service of HTTP requests. Clones share the limiter.
///
/// ```
/// # use redis_ratelimit::{Quota, RateLimitOptions, RateLimiter, kv_core::MemoryStore};
/// use http::HeaderName;
/// use redis_ratelimit::tower::{Key, LayerOptions, RateLimitLayer};
/// # let store = std::sync::Arc::new(MemoryStore::new());
///
/// let limiter = RateLimiter::new(store, Quota::per_minute(60).burst(10), RateLimitOptions::default())?;
/// let options = LayerOptions::default().name("burst").skip(|request| request.uri.path() == "/health");
/// let layer = RateLimitLayer::with_options(limiter, Key::header(HeaderName::from_static("x-api-key")), options)?;
/// # let _ = layer;
/// # Ok::<_, redis_ratelimit::kv_core::Error>(())
/// ```
///
/// Several on one service add up: what the outer one takes stays taken when the inner one refuses, unless
/// [`refund`](LayerOptions::refund) says otherwise, and their fields form lists.
#[derive(Clone, Debug)]
#[doc(alias = "GovernorLayer")]
pub struct RateLimitLayer {
    gate: Arc<Gate>,
}

impl RateLimitLayer {
    /// A layer with the default options.
    ///
    /// Errors: [`InvalidConfig`](kv_core::ErrorKind::InvalidConfig) for a key that can never be found. No round trip.
    pub fn new(limiter: impl Limit + 'static, key: Key) -> Result<Self> {
        Self::with_options(limiter, key, LayerOptions::default())
    }

    /// A layer.
    ///
    /// Errors: [`InvalidConfig`](kv_core::ErrorKind::InvalidConfig) that names the option, or for a key that can never be
    /// found. No round trip.
    pub fn with_options(limiter: impl Limit + 'static, key: Key, options: LayerOptions) -> Result<Self> {
        Ok(Self { gate: Arc::new(Gate::new(Arc::new(limiter), key, options)?) })
    }
}

impl<S> Layer<S> for RateLimitLayer {
    type Service = RateLimitService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RateLimitService::new(self.gate.clone(), inner)
    }
}
