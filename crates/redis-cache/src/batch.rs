use crate::{CacheError, cache::Inner, load::Loading};
use std::{
    collections::HashMap,
    error::Error as StdError,
    mem,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::{sync::oneshot, time::timeout};

/// What loads many keys at once: those that are there, by key.
pub(crate) type LoadMany<V> =
    dyn Fn(Vec<String>) -> Pin<Box<dyn Future<Output = Result<HashMap<String, V>, CacheError>> + Send>> + Send + Sync;

/// A caller's loader of many keys.
pub(crate) fn load_many<V, F, Fut, E>(loader: F) -> Arc<LoadMany<V>>
where
    F: Fn(Vec<String>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<HashMap<String, V>, E>> + Send + 'static,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    Arc::new(move |keys| {
        let loading = loader(keys);
        Box::pin(async { loading.await.map_err(CacheError::of_loader) })
    })
}

/// The loads of one call that are left to it, gathered until it is known which those are, for one call of the loader.
pub(crate) struct Batch<V: Send + Sync + 'static> {
    inner: Arc<Inner<V>>,
    loader: Arc<LoadMany<V>>,
    gathering: Mutex<Gathering<V>>,
}

struct Gathering<V> {
    undecided: usize,
    wanted: Vec<Wanted<V>>,
}

/// A key, and where its value goes.
type Wanted<V> = (String, oneshot::Sender<Result<Option<V>, CacheError>>);

/// The place of one key in the batch.
pub(crate) struct Berth<V: Send + Sync + 'static> {
    batch: Arc<Batch<V>>,
    key: String,
    decided: AtomicBool,
}

impl<V: Send + Sync + 'static> Batch<V> {
    /// Gathers so many keys.
    pub(crate) fn of(inner: Arc<Inner<V>>, loader: Arc<LoadMany<V>>, keys: usize) -> Arc<Self> {
        Arc::new(Self { inner, loader, gathering: Mutex::new(Gathering { undecided: keys, wanted: Vec::new() }) })
    }

    pub(crate) fn berth(self: &Arc<Self>, key: &str) -> Arc<Berth<V>> {
        Arc::new(Berth { batch: self.clone(), key: key.to_owned(), decided: AtomicBool::new(false) })
    }

    fn lock(&self) -> MutexGuard<'_, Gathering<V>> {
        self.gathering.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn load(&self, keys: Vec<String>) -> Result<HashMap<String, V>, CacheError> {
        let options = &self.inner.remote.options;
        let _permit = self.inner.permits.acquire(options).await?;
        timeout(options.load_timeout, (self.loader)(keys)).await.unwrap_or(Err(CacheError::LoadTimeout))
    }

    /// One key less to wait for; the last one lets the rest go.
    fn decided(self: &Arc<Self>, wants: Option<Wanted<V>>) {
        let mut gathering = self.lock();
        gathering.undecided -= 1;
        gathering.wanted.extend(wants);
        if gathering.undecided > 0 || gathering.wanted.is_empty() {
            return;
        }
        let wanted = mem::take(&mut gathering.wanted);
        drop(gathering);
        let batch = self.clone();
        tokio::spawn(async move {
            let keys = wanted.iter().map(|(key, _)| key.clone()).collect();
            let mut loaded = batch.load(keys).await;
            for (key, reply) in wanted {
                let _ = reply.send(match &mut loaded {
                    Ok(values) => Ok(values.remove(&key)),
                    Err(error) => Err(error.clone()),
                });
            }
        });
    }
}

impl<V: Send + Sync + 'static> Berth<V> {
    /// Leaves the batch, which does not wait for this key any more: another process loads it, or has.
    pub(crate) fn leave(&self) {
        if !self.decided.swap(true, Ordering::AcqRel) {
            self.batch.decided(None);
        }
    }

    /// The load of this key, with the rest of the batch unless that has been left.
    pub(crate) fn loading(self: Arc<Self>) -> Loading<V> {
        Box::pin(async move {
            if self.decided.swap(true, Ordering::AcqRel) {
                return Ok(self.batch.load(vec![self.key.clone()]).await?.remove(&self.key));
            }
            let (reply, loaded) = oneshot::channel();
            self.batch.decided(Some((self.key.clone(), reply)));
            loaded.await.unwrap_or(Err(CacheError::LoadAborted))
        })
    }
}

impl<V: Send + Sync + 'static> Drop for Berth<V> {
    fn drop(&mut self) {
        self.leave();
    }
}
