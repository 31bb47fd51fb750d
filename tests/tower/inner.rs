use http::{Request, Response};
use std::{
    convert::identity,
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
};
use tokio::task::yield_now;
use tower_service::Service;

/// A service that is strict about its contract: it is ready after two polls, takes a place for it, and its clones are not ready.
#[derive(Debug, Default)]
pub(super) struct Inner {
    polls: u32,
    place: Option<Place>,
    seen: Arc<Seen>,
}

/// What all clones have seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    calls: AtomicU32,
    places: AtomicU32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broken")
    }
}

/// Readiness that was given out; back when it is dropped.
#[derive(Debug)]
struct Place(Arc<Seen>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.places.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Inner {
    pub(super) fn calls(&self) -> u32 {
        self.seen.calls.load(Ordering::SeqCst)
    }

    /// How many are ready or at work.
    pub(super) fn places(&self) -> u32 {
        self.seen.places.load(Ordering::SeqCst)
    }
}

impl Clone for Inner {
    fn clone(&self) -> Self {
        Self { polls: 0, place: None, seen: self.seen.clone() }
    }
}

impl<B> Service<Request<B>> for Inner {
    type Response = Response<String>;
    type Error = Broken;
    type Future = Pin<Box<dyn Future<Output = Result<Response<String>, Broken>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        self.polls += 1;
        if self.polls < 2 {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.place.is_none() {
            self.seen.places.fetch_add(1, Ordering::SeqCst);
            self.place = Some(Place(self.seen.clone()));
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let place = self.place.take().expect("polled ready before it is called");
        self.polls = 0;
        self.seen.calls.fetch_add(1, Ordering::SeqCst);
        let path = request.uri().path().to_owned();
        Box::pin(async move {
            yield_now().await;
            let status = match path.as_str() {
                "/error" => return Err(Broken),
                "/fail" => 500,
                "/login" => 401,
                _ => 200,
            };
            drop(identity(place));
            Ok(Response::builder().status(status).body("served".to_owned()).expect("a response"))
        })
    }
}
