use crate::{
    CacheError,
    batch::Berth,
    cache::Inner,
    flight::{Flight, Outcome},
    found::Found,
    lease::{Heartbeat, Keys, Lease, Leave},
    near::Epoch,
};
use bytes::Bytes;
use std::{
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};
use tokio::{task::JoinHandle, time::timeout};
use tracing::Instrument;

/// What a caller's loader returned: the load itself, not begun.
pub(crate) type Loading<V> = Pin<Box<dyn Future<Output = Result<Option<V>, CacheError>> + Send>>;

/// One load of a key.
pub(crate) struct Load<V: Send + Sync + 'static> {
    pub(crate) inner: Arc<Inner<V>>,
    pub(crate) keys: Keys,
    /// The entry that is to be replaced.
    pub(crate) mark: Bytes,
    /// What is served if the load fails.
    pub(crate) fallback: Option<Found<V>>,
    /// The store did not answer just now: it is not waited for once more.
    pub(crate) is_away: bool,
    pub(crate) tags: Vec<String>,
    /// The place of the load in a batch, if it is part of one.
    pub(crate) berth: Option<Arc<Berth<V>>>,
    pub(crate) loading: Loading<V>,
}

/// Whom an outcome may be given.
enum For {
    /// It held after everybody on board had asked.
    Everybody,
    /// It may have been invalidated since the load began.
    OnTime,
}

impl<V: Send + Sync + 'static> Load<V> {
    /// Loads for those on board.
    pub(crate) async fn fly(mut self, mut flight: Flight<V>) {
        let (inner, keys, fallback) = (self.inner.clone(), self.keys.clone(), self.fallback.take());
        let (outcome, whom) = {
            let has_fallback = fallback.is_some();
            let mut load = pin!(self.bring(flight.number(), has_fallback));
            match (&fallback, inner.remote.options.soft_timeout) {
                (Some(stale), Some(soft)) => match timeout(soft, &mut load).await {
                    Ok(brought) => brought,
                    Err(_) => {
                        inner.remote.counters.stale.count();
                        let _refresh = inner.refreshes.begin(&keys.entry);
                        flight.serve(&Ok(stale.value.clone()));
                        load.await
                    }
                },
                _ => load.await,
            }
        };
        let outcome = match (outcome, fallback) {
            (Err(error), Some(stale)) => {
                tracing::warn!(%error, "a load failed, and what is stale is served");
                inner.remote.counters.stale.count();
                inner.refreshes.pause(&keys.entry, inner.remote.options.error_backoff);
                Ok(stale.value)
            }
            (outcome, _) => outcome,
        };
        match whom {
            For::Everybody => flight.land(&outcome),
            For::OnTime => flight.land_on_time(&outcome),
        }
    }

    async fn bring(self, flight: u64, has_fallback: bool) -> (Outcome<V>, For) {
        let Self { inner, keys, mark, is_away, tags, berth, loading, .. } = self;
        let (remote, options) = (&inner.remote, &inner.remote.options);
        let epoch = inner.epoch(&keys.id);
        let leave = match (is_away, &berth) {
            (false, _) => inner.lease(&keys, &mark, berth.as_deref()).await,
            (true, None) => inner.permits.acquire(options).await.map(|permit| (Leave::Away, Some(permit))),
            (true, Some(_)) => Ok((Leave::Away, None)),
        };
        let (leave, permit) = match leave {
            Ok(leave) => leave,
            Err(error) => return (Err(error), For::Everybody),
        };
        let lease = match leave {
            Leave::Ours(lease) => remote.tag(&keys, lease, &tags).await,
            Leave::Found(found) => {
                remote.count_hit(&found);
                inner.keep(&keys.id, epoch, &found);
                return (Ok(found.value), For::OnTime);
            }
            Leave::Paused if has_fallback => return (Err(CacheError::LoadPaused), For::Everybody),
            Leave::Taken | Leave::Paused => {
                remote.counters.raced.count();
                None
            }
            Leave::Away => None,
        };
        let outcome = inner.run_loader(loading, lease.as_ref().map(|lease| (&keys, lease))).await;
        drop(permit);
        let Some(lease) = lease else { return (outcome, For::OnTime) };
        // Nobody may board any more: what is stored held after all on board had asked.
        inner.flights.close(&keys.entry, flight);
        let pause = if has_fallback { options.error_backoff } else { Duration::ZERO };
        let stored = inner.settle(&keys, epoch, &lease, &outcome, pause).await;
        // A tag may have been invalidated all the same.
        let whom = if outcome.is_err() || stored && tags.is_empty() { For::Everybody } else { For::OnTime };
        (outcome, whom)
    }

    /// Loads for those who come later, unless somebody else does.
    pub(crate) async fn refresh(self) {
        let Self { inner, keys, mark, tags, loading, .. } = self;
        let (remote, options) = (&inner.remote, &inner.remote.options);
        let Ok(_permit) = inner.permits.try_acquire() else { return };
        let epoch = inner.epoch(&keys.id);
        match remote.try_lease(&keys, &mark).await {
            Ok(Leave::Ours(lease)) => {
                let Some(lease) = remote.tag(&keys, lease, &tags).await else { return };
                let outcome = inner.run_loader(loading, Some((&keys, &lease))).await;
                if let Err(error) = &outcome {
                    tracing::warn!(%error, "a load ahead of time failed");
                    inner.refreshes.pause(&keys.entry, options.error_backoff);
                }
                inner.settle(&keys, epoch, &lease, &outcome, options.error_backoff).await;
            }
            Ok(Leave::Paused) => inner.refreshes.pause(&keys.entry, options.error_backoff),
            // Whoever has it may die: it is asked for again before the end.
            Ok(_) => inner.refreshes.pause(&keys.entry, Duration::from_millis(100)),
            Err(error) => {
                tracing::warn!(%error, "a load ahead of time was not begun");
                inner.refreshes.pause(&keys.entry, options.error_backoff);
            }
        }
    }
}

impl<V: Send + Sync + 'static> Inner<V> {
    async fn run_loader(&self, loading: Loading<V>, lease: Option<(&Keys, &Lease)>) -> Outcome<V> {
        self.remote.counters.loads.count();
        let _heart = lease.map(|(keys, lease)| Heartbeat::of(self.remote.clone(), keys, lease));
        #[cfg(feature = "obs")]
        let began = tokio::time::Instant::now();
        let span = tracing::debug_span!("cache_load", cache = self.remote.options.prefix);
        let brought = self.in_time(loading.instrument(span)).await;
        #[cfg(feature = "obs")]
        self.remote.counters.load_seconds.record(began.elapsed());
        Ok(brought?.map(Arc::new))
    }

    /// Runs what a caller brought in a task of its own, so that its panic or its time-out ends nothing else.
    pub(crate) async fn in_time<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, CacheError>> + Send + 'static,
    ) -> Result<T, CacheError> {
        let mut task = Aborts(tokio::spawn(work));
        match timeout(self.remote.options.load_timeout, &mut task.0).await {
            Ok(Ok(brought)) => brought,
            Ok(Err(_)) => Err(CacheError::LoadAborted),
            Err(_) => Err(CacheError::LoadTimeout),
        }
    }

    /// Stores what the load brought, or gives the lease to the next; says whether it is stored.
    async fn settle(
        &self,
        keys: &Keys,
        epoch: Option<Epoch>,
        lease: &Lease,
        outcome: &Outcome<V>,
        pause: Duration,
    ) -> bool {
        let settled = match outcome {
            Ok(value) => match self.remote.commit(keys, lease, value.as_deref()).await {
                Ok(Some(stamp)) => {
                    self.keep_stored(&keys.id, epoch, value.as_ref(), stamp);
                    return true;
                }
                Ok(None) => {
                    self.remote.counters.invalidated.count();
                    return false;
                }
                Err(error) => {
                    tracing::warn!(%error, "a loaded value is not cached");
                    // The lease would keep others from loading.
                    self.remote.abandon(keys, lease, Duration::ZERO).await.map(drop)
                }
            },
            Err(_) => self.remote.abandon(keys, lease, pause).await.map(drop),
        };
        if let Err(error) = settled {
            tracing::warn!(%error, "a lease is left to run out");
        }
        false
    }
}

/// Ends the task with itself.
struct Aborts<T>(JoinHandle<T>);

impl<T> Drop for Aborts<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
