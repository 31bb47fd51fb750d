use crate::{keys::Keys, server::Server, token::Token};
use kv_core::{Repeat, RetryPolicy, retry_async};
use tokio::{
    runtime::Handle,
    sync::mpsc::{self, UnboundedSender},
    task::JoinSet,
    time::Instant,
};

/// A lock that may be held, or a place in line that may be taken, and that nobody will give back by hand.
#[derive(Debug)]
pub(crate) struct Leftover {
    pub(crate) keys: Keys,
    pub(crate) token: Token,
    /// The place in line, if there may be one.
    pub(crate) ticket: String,
    /// When the lease ends by itself.
    pub(crate) until: Instant,
}

/// Gives back what dropped guards and dropped acquisitions leave, in a task of its own that ends with the manager and
/// its last guard.
#[derive(Debug)]
pub(crate) struct Reaper(UnboundedSender<Leftover>);

/// How many are given back at a time.
const AT_ONCE: usize = 256;

impl Reaper {
    pub(crate) fn start(runtime: &Handle, server: Server) -> Self {
        let (sender, mut leftovers) = mpsc::unbounded_channel();
        runtime.spawn(async move {
            let mut releases = JoinSet::new();
            while let Some(leftover) = leftovers.recv().await {
                while releases.try_join_next().is_some() {}
                if releases.len() >= AT_ONCE {
                    releases.join_next().await;
                }
                releases.spawn(release(server.clone(), leftover));
            }
            while releases.join_next().await.is_some() {}
        });
        Self(sender)
    }

    /// Never waits and never panics, runtime or not.
    pub(crate) fn take(&self, leftover: Leftover) {
        // With the task gone its runtime is gone; the lease ends the lock then.
        let _ = self.0.send(leftover);
    }
}

/// Giving back is idempotent, so it is tried until the lease is over anyway.
async fn release(server: Server, leftover: Leftover) {
    let Leftover { keys, token, ticket, until } = leftover;
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return;
    }
    let policy = RetryPolicy::default().deadline(left.min(RetryPolicy::default().deadline));
    let released =
        retry_async(&policy, Repeat::Idempotent, || async { server.release(&keys, token.as_str(), &ticket).await });
    if let Err(error) = released.await {
        tracing::warn!(%error, "a dropped lock stays until its lease ends");
    }
}
