use crate::{
    Cache, CacheError,
    cache::Inner,
    flight::{Outcome, Place, Ticket},
    found::{Found, Freshness, Lookup},
    load::{Load, Loading},
    remote::Looked,
};
use bytes::Bytes;
use std::{error::Error as StdError, sync::Arc};

impl<V: Send + Sync + 'static> Cache<V> {
    /// What the store knows of a key; loads nothing. One round trip.
    ///
    /// A value that does not decode, or that is too old to be served but for a failing load, is a miss.
    pub async fn get(&self, key: &str) -> Result<Lookup<V>, CacheError> {
        let remote = &self.inner.remote;
        if let Some(hit) = self.inner.at_hand(key) {
            return Ok(hit.value.map_or(Lookup::Null, Lookup::Hit));
        }
        let id = remote.keys.key(key, "")?;
        self.inner.listens();
        let epoch = self.inner.epoch(key);
        if let Looked::Found(found) = remote.look(&id).await? {
            let freshness = self.inner.freshness(&id, &found).await;
            if freshness != Freshness::Fallback {
                remote.count_hit(&found);
                if freshness == Freshness::Fresh {
                    self.inner.keep(key, epoch, &found);
                }
                return Ok(found.value.map_or(Lookup::Null, Lookup::Hit));
            }
        }
        remote.counters.misses.count();
        Ok(Lookup::Miss)
    }

    /// The value of a key from the store, or else from the loader, which runs once for all who ask, in whichever process.
    ///
    /// The loader is called when a load begins, and the future it returns is polled once the load may store.
    ///
    /// `None` is cached too, for [`negative_ttl`](crate::CacheOptions::negative_ttl). The load runs in a task of its own: it goes on, and is
    /// stored, when the caller is dropped. Its error, panic or time-out reaches all who wait in this process, and nothing is stored; in
    /// other processes another load begins. While the store is away the loader answers; other errors of the store are [`CacheError::Store`].
    ///
    /// What is returned was not invalidated before this was called, whatever is loaded or waited for by others.
    ///
    /// One round trip on a hit; on a miss one before and one after the load as well. Needs a tokio runtime.
    #[doc(alias = "get_or_set")]
    #[doc(alias = "fetch")]
    #[doc(alias = "remember")]
    #[doc(alias = "try_get_with")]
    pub async fn get_or_load<F, Fut, E>(&self, key: &str, loader: F) -> Result<Option<Arc<V>>, CacheError>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Option<V>, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let loader = || -> Loading<V> {
            let loading = loader();
            Box::pin(async { loading.await.map_err(CacheError::of_loader) })
        };
        self.inner.read(key, self.inner.all().as_slice(), loader).await
    }
}

impl<V: Send + Sync + 'static> Inner<V> {
    pub(crate) async fn read(
        self: &Arc<Self>,
        key: &str,
        tags: &[String],
        loader: impl FnOnce() -> Loading<V>,
    ) -> Outcome<V> {
        if let Some((found, freshness)) = self.kept(key) {
            let value = found.value.clone();
            if freshness != Freshness::Fresh {
                self.refresh(key, found, tags.to_vec(), loader)?;
            }
            return Ok(value);
        }
        let id = self.remote.keys.key(key, "")?;
        self.listens();
        let lead = loop {
            match self.flights.join(&id) {
                Place::First(lead) => break lead,
                Place::Behind(ride) => {
                    let waits = self.remote.counters.waiting.enter();
                    let ticket = ride.ticket(&id).await;
                    drop(waits);
                    match ticket {
                        Some(Ticket::Lead(lead)) => break lead,
                        Some(Ticket::Found(found)) => {
                            self.remote.count_hit(&found);
                            return Ok(found.value);
                        }
                        Some(Ticket::Landed(outcome)) => {
                            self.remote.counters.joined.count();
                            return outcome;
                        }
                        None => {}
                    }
                }
            }
        };
        let epoch = self.epoch(key);
        let (mark, fallback, is_away) = match self.remote.look(&id).await {
            Ok(Looked::Found(found)) => {
                let freshness = self.freshness(&id, &found).await;
                if freshness != Freshness::Fallback || self.refreshes.is_paused(&id) {
                    self.remote.count_hit(&found);
                    if freshness == Freshness::Fresh {
                        self.keep(key, epoch, &found);
                    }
                    lead.found(&found);
                    let value = found.value.clone();
                    if freshness != Freshness::Fresh {
                        self.refresh(key, found, tags.to_vec(), loader)?;
                    }
                    return Ok(value);
                }
                (Bytes::copy_from_slice(&found.stamp.mark), Some(found), false)
            }
            Ok(Looked::Miss(mark)) if mark.is_empty() && !self.may_exist(key).await => {
                let absent = Found::absent();
                self.remote.count_hit(&absent);
                lead.found(&absent);
                return Ok(None);
            }
            Ok(Looked::Miss(mark)) => (mark, None, false),
            Err(error) if self.remote.goes_on(&error) => (Bytes::new(), None, true),
            Err(error) => {
                let error = CacheError::from(error);
                lead.failed(&error);
                return Err(error);
            }
        };
        let load = Load {
            inner: self.clone(),
            keys: self.keys(key)?,
            mark,
            fallback,
            is_away,
            tags: tags.to_vec(),
            berth: None,
            loading: loader(),
        };
        let (flight, ticket) = lead.take_off();
        tokio::spawn(load.fly(flight));
        match ticket.await {
            Ok(Ticket::Landed(outcome)) => outcome,
            Ok(Ticket::Lead(_) | Ticket::Found(_)) | Err(_) => Err(CacheError::LoadAborted),
        }
    }

    /// Whether a key may exist; `false` if the guard knows that it cannot.
    pub(crate) async fn may_exist(&self, key: &str) -> bool {
        match &self.remote.options.guard {
            Some(guard) => guard.may_exist(key).await,
            None => true,
        }
    }

    /// Loads what is served already, unless that is under way.
    pub(crate) fn refresh(
        self: &Arc<Self>,
        key: &str,
        found: Found<V>,
        tags: Vec<String>,
        loader: impl FnOnce() -> Loading<V>,
    ) -> Result<(), CacheError> {
        let keys = self.keys(key)?;
        if let Some(refresh) = self.refreshes.begin(&keys.entry) {
            let mark = Bytes::copy_from_slice(&found.stamp.mark);
            let load = Load {
                inner: self.clone(),
                keys,
                mark,
                fallback: Some(found),
                is_away: false,
                tags,
                berth: None,
                loading: loader(),
            };
            tokio::spawn(async move {
                load.refresh().await;
                drop(refresh);
            });
        }
        Ok(())
    }

    /// What is to be done with an entry. No round trip, but for one when the server's clock is not known and matters.
    pub(crate) async fn freshness(&self, key: &str, found: &Found<V>) -> Freshness {
        let options = &self.remote.options;
        if found.stamp.times.stale_for == 0 && options.early_refresh == 0.0 && self.near.is_none() {
            return Freshness::Fresh;
        }
        let now = match self.remote.clock.now() {
            None if found.stamp.times.stale_for > 0 => Box::pin(self.remote.ask_time(key, found.stamp.times)).await,
            None if self.remote.clock.ask() => {
                // What is there is fresh, for the server would have dropped it.
                let (remote, key, times) = (self.remote.clone(), key.to_owned(), found.stamp.times);
                tokio::spawn(async move {
                    remote.ask_time(&key, times).await;
                    remote.clock.answered();
                });
                None
            }
            now => now,
        };
        now.map_or(Freshness::Fresh, |now| found.stamp.times.freshness(options, now, rand::random))
    }
}
