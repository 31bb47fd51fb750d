use super::gate::Gate;
use http::{Request, Response};
use std::{
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tower_service::Service;

/// A service whose requests are limited, made by a [`RateLimitLayer`](super::RateLimitLayer).
///
/// The inner service is called once a request is let through, never before; errors are its own. Its response bodies must be
/// made from a `String`, as `axum::body::Body` and `http_body_util::Full<Bytes>` are. A response future that is dropped while the limiter is
/// asked may have taken the cost; dropped later, it has. Nothing is given back then.
#[derive(Clone, Debug)]
pub struct RateLimitService<S> {
    gate: Arc<Gate>,
    inner: S,
}

impl<S> RateLimitService<S> {
    pub(super) fn new(gate: Arc<Gate>, inner: S) -> Self {
        Self { gate, inner }
    }
}

impl<S, B, R> Service<Request<B>> for RateLimitService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: From<String>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that was polled ready is the one to call; its clone may not be ready.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        let gate = self.gate.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let pass = match gate.decide(&parts).await {
                Ok(pass) => pass,
                Err(refusal) => return Ok((*refusal).map(R::from)),
            };
            match inner.call(Request::from_parts(parts, body)).await {
                Ok(response) => {
                    let (mut parts, body) = response.into_parts();
                    gate.settle(pass, Some(&mut parts));
                    Ok(Response::from_parts(parts, body))
                }
                Err(error) => {
                    gate.settle(pass, None);
                    Err(error)
                }
            }
        })
    }
}
