use super::Limit;
use std::sync::Arc;
use tokio::{runtime::Handle, sync::Semaphore};

/// Gives back in the background what requests did not use, so many at a time.
#[derive(Debug)]
pub(super) struct Refunds(Arc<Semaphore>);

/// With so many on their way the store is in trouble, and what is more is not given back.
const AT_ONCE: usize = 1024;

impl Refunds {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }

    /// Never waits and never panics, runtime or not.
    pub(super) fn start(&self, limiter: Arc<dyn Limit>, id: String, units: u64) {
        let (Ok(runtime), Ok(permit)) = (Handle::try_current(), self.0.clone().try_acquire_owned()) else {
            tracing::warn!(units, "a refund is lost: too many at a time, or no runtime");
            return;
        };
        runtime.spawn(async move {
            // A lost reply is not asked for again: it may have been given back.
            if let Err(error) = limiter.refund(&id, units).await {
                tracing::warn!(%error, units, "a refund is lost");
            }
            drop(permit);
        });
    }
}
