use crate::script::RELEASE;
use kv_core::{Error, KvStore, KvStoreExt, Repeat, Result, RetryPolicy, retry_async};
use std::sync::Arc;
use tokio::{
    runtime::Handle,
    sync::mpsc::{self, UnboundedSender},
    task::JoinSet,
    time::Instant,
};

/// A lock that may be held and that nobody will release by hand.
#[derive(Debug)]
pub(crate) struct Leftover {
    pub(crate) key: String,
    pub(crate) token: String,
    /// When the lease ends by itself.
    pub(crate) until: Instant,
}

/// Releases what dropped guards and dropped acquisitions leave, in a task of its own that ends with the manager and
/// its last guard.
#[derive(Debug)]
pub(crate) struct Reaper(UnboundedSender<Leftover>);

impl Reaper {
    pub(crate) fn start(store: Arc<dyn KvStore>) -> Result<Self> {
        let runtime =
            Handle::try_current().map_err(|_| Error::invalid_config("lock", "needs to be built in a tokio runtime"))?;
        let (sender, mut leftovers) = mpsc::unbounded_channel();
        runtime.spawn(async move {
            let mut batch = Vec::new();
            while leftovers.recv_many(&mut batch, 64).await > 0 {
                let mut releases = JoinSet::new();
                for leftover in batch.drain(..) {
                    releases.spawn(release(store.clone(), leftover));
                }
                while releases.join_next().await.is_some() {}
            }
        });
        Ok(Self(sender))
    }

    /// Never waits and never panics, runtime or not.
    pub(crate) fn take(&self, leftover: Leftover) {
        // With the task gone its runtime is gone; the lease ends the lock then.
        let _ = self.0.send(leftover);
    }
}

/// Compare-and-delete is idempotent, so it is tried until the lease is over anyway.
async fn release(store: Arc<dyn KvStore>, leftover: Leftover) {
    let left = leftover.until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return;
    }
    let policy = RetryPolicy::default().deadline(left.min(RetryPolicy::default().deadline));
    let released = retry_async(&policy, Repeat::Idempotent, || async {
        let scripts = store.require_scripts("release")?;
        scripts.run(&RELEASE, &[&leftover.key], &[leftover.token.as_str().into()]).await
    });
    if let Err(error) = released.await {
        tracing::warn!(%error, "a dropped lock stays until its lease ends");
    }
}
