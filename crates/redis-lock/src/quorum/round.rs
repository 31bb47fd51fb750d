use kv_core::{Error, ErrorKind, Result};
use std::{
    future::poll_fn,
    pin::Pin,
    task::{Poll, ready},
    time::Duration,
};
use tokio::time::{Sleep, sleep};

/// A question to one server.
pub(crate) type Ask<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// The same question to many servers at once, and their answers as they come.
pub(crate) struct Round<T> {
    asked: Vec<(usize, Option<Ask<T>>)>,
    end: Pin<Box<Sleep>>,
}

impl<T> Round<T> {
    /// Sends nothing before the first [`next`](Self::next).
    pub(crate) fn new(asks: impl Iterator<Item = (usize, Ask<T>)>, patience: Duration) -> Self {
        Self { asked: asks.map(|(at, ask)| (at, Some(ask))).collect(), end: Box::pin(sleep(patience)) }
    }

    /// Who answers next, and what; `None` when all have. Those who do not in time get a [`ErrorKind::Timeout`] each.
    pub(crate) async fn next(&mut self) -> Option<(usize, Result<T>)> {
        poll_fn(|context| {
            for (at, slot) in &mut self.asked {
                if let Some(ask) = slot
                    && let Poll::Ready(answer) = ask.as_mut().poll(context)
                {
                    *slot = None;
                    return Poll::Ready(Some((*at, answer)));
                }
            }
            let Some((at, slot)) = self.asked.iter_mut().find(|(_, slot)| slot.is_some()) else {
                return Poll::Ready(None);
            };
            ready!(self.end.as_mut().poll(context));
            *slot = None;
            Poll::Ready(Some((*at, Err(Error::new(ErrorKind::Timeout, "quorum lock")))))
        })
        .await
    }
}
