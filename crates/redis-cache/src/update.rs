use crate::{
    Cache, CacheError,
    cache::Inner,
    lease::{Heartbeat, Keys, LOOK, Lease},
    message::Kind,
    script::HOLD,
};
use kv_core::{Arg, Limits, Reply};
use std::{error::Error as StdError, sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};

impl<V: Send + Sync + 'static> Cache<V> {
    /// Changes the database while no reader is served: neither what was there before, nor what is read meanwhile.
    ///
    /// The key is forgotten before the writer runs, readers in every process wait until it ends, and load then. Writers of one key come one
    /// after the other. For those to whom a reader with the old value during the change, or a crash between the change and
    /// [`invalidate`](Self::invalidate), is not good enough.
    ///
    /// The writer runs in a task of its own, and goes on when the caller is dropped; it is dropped after
    /// [`load_timeout`](crate::CacheOptions::load_timeout), which is an error. Without the store it does not run at all. Should the
    /// lease run out all the same, because the store was away for longer than [`lease`](crate::CacheOptions::lease), the key is invalidated
    /// once more. One round trip before and one after the writer. Needs a tokio runtime.
    #[doc(alias = "lock_for_update")]
    pub async fn update<T, F, Fut, E>(&self, key: &str, writer: F) -> Result<T, CacheError>
    where
        T: Send + 'static,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let (cache, key, keys, writing) = (self.clone(), key.to_owned(), self.inner.keys(key)?, writer());
        let writing = async { writing.await.map_err(CacheError::of_loader) };
        spawned(async move {
            let lease = cache.inner.hold(&keys).await?;
            let written = cache.inner.run_writer(&keys, &lease, writing).await;
            let lag = cache.inner.remote.options.replica_lag;
            let ended = cache.inner.remote.abandon(&keys, &lease, lag).await;
            cache.settled(&key, ended).await?;
            written
        })
        .await
    }

    /// Changes the database as [`update`](Self::update) does, and stores what the writer says is there now.
    #[doc(alias = "put_through")]
    pub async fn write_through<F, Fut, E>(&self, key: &str, writer: F) -> Result<Option<Arc<V>>, CacheError>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Option<V>, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let (cache, key, keys, writing) = (self.clone(), key.to_owned(), self.inner.keys(key)?, writer());
        let writing = async { writing.await.map_err(CacheError::of_loader) };
        spawned(async move {
            let (inner, mut lease) = (&cache.inner, cache.inner.hold(&keys).await?);
            if let Some(all) = inner.all() {
                lease = inner.remote.tag(&keys, lease, &[all]).await.ok_or(CacheError::LoadAborted)?;
            }
            match inner.run_writer(&keys, &lease, writing).await {
                Ok(written) => {
                    let stored =
                        inner.remote.commit(&keys, &lease, written.as_ref()).await.map(|stored| stored.is_some());
                    cache.settled(&key, stored).await?;
                    Ok(written.map(Arc::new))
                }
                Err(error) => {
                    let ended = inner.remote.abandon(&keys, &lease, inner.remote.options.replica_lag).await;
                    cache.settled(&key, ended).await?;
                    Err(error)
                }
            }
        })
        .await
    }

    /// Sees to it that nothing is left that was read before the writer ended.
    async fn settled(&self, key: &str, ended: kv_core::Result<bool>) -> Result<(), CacheError> {
        match ended {
            Ok(true) => Ok(()),
            Ok(false) => self.invalidate(key).await,
            Err(error) => {
                // The lease may have run out, and readers with it.
                tracing::warn!(%error, "the end of an update is not told");
                self.invalidate(key).await
            }
        }
    }
}

impl<V: Send + Sync + 'static> Inner<V> {
    /// The lease of a writer, once no other writer has it.
    async fn hold(self: &Arc<Self>, keys: &Keys) -> Result<Lease, CacheError> {
        let (remote, by) = (&self.remote, Instant::now() + self.remote.options.load_timeout);
        let lease = Limits::ttl_millis("cache", remote.options.lease)?;
        let message = Kind::Invalidated.of(&keys.entry, b"");
        loop {
            let token = format!("{:031x}u", rand::random::<u128>() >> 4);
            let args = [token.as_str().into(), Arg::Int(lease), remote.channel(), Arg::Bytes(&message)];
            let mut wait = remote.news.wait(&keys.entry);
            self.forget(&keys.entry);
            let reply = remote.run(&HOLD, &[&keys.entry, &keys.lease], &args).await?;
            let rest = match reply {
                Reply::Int(rest) if rest < 0 => Duration::from_millis((-1 - rest).unsigned_abs() + 1),
                reply => {
                    self.forget(&keys.entry);
                    return Ok(Lease::begun(token, reply.into_int(HOLD.name())?.unsigned_abs(), &[]));
                }
            };
            if Instant::now() >= by {
                return Err(CacheError::LoadTimeout);
            }
            let hears = remote.news.is_open() || self.listen().await.unwrap_or_default();
            let look = by.min(Instant::now() + if hears { rest.min(LOOK * 10) } else { rest.min(LOOK) });
            let _ = timeout_at(look, wait.news()).await;
        }
    }

    async fn run_writer<T: Send + 'static>(
        &self,
        keys: &Keys,
        lease: &Lease,
        writing: impl Future<Output = Result<T, CacheError>> + Send + 'static,
    ) -> Result<T, CacheError> {
        let _heart = Heartbeat::of(self.remote.clone(), keys, lease);
        self.in_time(writing).await
    }
}

/// What a task brings that goes on when nobody waits for it.
async fn spawned<T: Send + 'static>(
    task: impl Future<Output = Result<T, CacheError>> + Send + 'static,
) -> Result<T, CacheError> {
    tokio::spawn(task).await.unwrap_or(Err(CacheError::LoadAborted))
}
