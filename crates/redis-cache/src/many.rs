use crate::{
    Cache, CacheError,
    batch::{Batch, LoadMany, load_many},
    cache::Inner,
    flight::{Lead, Place, Ride, Ticket},
    found::{Found, Freshness},
    load::Load,
    remote::Looked,
};
use bytes::Bytes;
use std::{collections::HashMap, error::Error as StdError, num::NonZeroUsize, sync::Arc};

/// What is known of each key so far.
type Known<V> = Vec<Option<Option<Arc<V>>>>;

impl<V: Send + Sync + 'static> Cache<V> {
    /// The values of many keys, in their order, from the store, or else from the loader, which is called once for all that nobody else loads.
    ///
    /// The loader gets the keys that are missing and returns what it finds by key; the absence of the others is cached. A key that
    /// somebody else loads, in whichever process, is waited for; it comes to the loader alone, later, if he fails. Otherwise each key
    /// is as with [`get_or_load`](Self::get_or_load). The first error is returned; what was loaded is cached all the same.
    ///
    /// One round trip if all are there; on a miss one before and one after the load as well. Needs a tokio runtime.
    #[doc(alias = "get_many")]
    #[doc(alias = "mget")]
    #[doc(alias = "fetch_batch")]
    pub async fn get_many_or_load<F, Fut, E>(&self, keys: &[&str], loader: F) -> Result<Vec<Option<Arc<V>>>, CacheError>
    where
        F: Fn(Vec<String>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<HashMap<String, V>, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        self.inner.read_many(keys, self.inner.all().as_slice(), &load_many(loader)).await
    }

    /// Loads what is going to be asked for, before it is: so many keys at a time as the loader likes, one batch after the other.
    ///
    /// What is cached already is not loaded. Says how many of the keys have a value; the first error ends it, and what was loaded until then
    /// stays. TTLs are jittered as ever, so that what is loaded together does not expire together. As many round trips as
    /// [`get_many_or_load`](Self::get_many_or_load), for each batch.
    #[doc(alias("preload", "prefetch"))]
    pub async fn warm_up<F, Fut, E>(&self, keys: &[&str], batch: NonZeroUsize, loader: F) -> Result<usize, CacheError>
    where
        F: Fn(Vec<String>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<HashMap<String, V>, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let (loader, mut warm) = (Arc::new(loader), 0);
        for keys in keys.chunks(batch.get()) {
            let loader = loader.clone();
            let values = self.get_many_or_load(keys, move |keys| loader(keys)).await?;
            warm += values.iter().flatten().count();
        }
        Ok(warm)
    }
}

impl<V: Send + Sync + 'static> Inner<V> {
    pub(crate) async fn read_many(
        self: &Arc<Self>,
        keys: &[&str],
        tags: &[String],
        loader: &Arc<LoadMany<V>>,
    ) -> Result<Vec<Option<Arc<V>>>, CacheError> {
        let ids = keys.iter().map(|key| self.remote.keys.key(key, "")).collect::<Result<Vec<_>, _>>()?;
        let mut known: Known<V> = vec![None; keys.len()];
        let (mut leads, mut rides) = (Vec::new(), Vec::new());
        let join = |leads: &mut Vec<(usize, Lead<V>)>, rides: &mut Vec<(usize, Ride<V>)>, at: usize| match self
            .flights
            .join(&ids[at])
        {
            Place::First(lead) => leads.push((at, lead)),
            Place::Behind(ride) => rides.push((at, ride)),
        };
        self.listens();
        for at in 0..keys.len() {
            if let Some(found) = self.at_hand(keys[at]) {
                known[at] = Some(found.value);
            } else {
                join(&mut leads, &mut rides, at);
            }
        }
        loop {
            if !leads.is_empty() {
                let leads = std::mem::take(&mut leads);
                self.lead_many((keys, &ids), leads, tags, loader, &mut known).await?;
            }
            let Some((at, ride)) = rides.pop() else { break };
            let waits = self.remote.counters.waiting.enter();
            let mut tickets = vec![(at, ride.ticket(&ids[at]).await)];
            drop(waits);
            // What has come with it: those whose turn it is look together.
            rides = rides
                .into_iter()
                .filter_map(|(at, ride)| match ride.try_ticket() {
                    Ok(ticket) => {
                        tickets.push((at, ticket));
                        None
                    }
                    Err(ride) => Some((at, ride)),
                })
                .collect();
            for (at, ticket) in tickets {
                match ticket {
                    Some(Ticket::Lead(lead)) => leads.push((at, lead)),
                    Some(Ticket::Found(found)) => {
                        self.remote.count_hit(&found);
                        known[at] = Some(found.value);
                    }
                    Some(Ticket::Landed(outcome)) => {
                        self.remote.counters.joined.count();
                        known[at] = Some(outcome?);
                    }
                    None => join(&mut leads, &mut rides, at),
                }
            }
        }
        Ok(known.into_iter().map(Option::flatten).collect())
    }

    /// Looks for many keys at once, and loads what is missing.
    async fn lead_many(
        self: &Arc<Self>,
        (keys, ids): (&[&str], &[String]),
        leads: Vec<(usize, Lead<V>)>,
        tags: &[String],
        loader: &Arc<LoadMany<V>>,
        known: &mut Known<V>,
    ) -> Result<(), CacheError> {
        let epochs: Vec<_> = leads.iter().map(|(at, _)| self.epoch(keys[*at])).collect();
        let names: Vec<&str> = leads.iter().map(|(at, _)| &*ids[*at]).collect();
        let (looked, is_away) = match self.remote.look_many(&names).await {
            Ok(looked) => (looked, false),
            Err(error) if self.remote.goes_on(&error) => {
                (names.iter().map(|_| Looked::Miss(Bytes::new())).collect(), true)
            }
            Err(error) => {
                let error = CacheError::from(error);
                leads.into_iter().for_each(|(_, lead)| lead.failed(&error));
                return Err(error);
            }
        };
        let mut misses = Vec::new();
        for (((at, lead), looked), epoch) in leads.into_iter().zip(looked).zip(epochs) {
            match looked {
                Looked::Found(found) => {
                    let freshness = self.freshness(&ids[at], &found).await;
                    if freshness == Freshness::Fallback && !self.refreshes.is_paused(&ids[at]) {
                        misses.push((at, lead, Bytes::copy_from_slice(&found.stamp.mark), Some(found)));
                        continue;
                    }
                    self.remote.count_hit(&found);
                    if freshness == Freshness::Fresh {
                        self.keep(keys[at], epoch, &found);
                    }
                    lead.found(&found);
                    known[at] = Some(found.value.clone());
                    if freshness != Freshness::Fresh {
                        let alone = Batch::of(self.clone(), loader.clone(), 1).berth(keys[at]);
                        self.refresh(keys[at], found, tags.to_vec(), || alone.loading())?;
                    }
                }
                Looked::Miss(mark) if mark.is_empty() && !is_away && !self.may_exist(keys[at]).await => {
                    let absent = Found::absent();
                    self.remote.count_hit(&absent);
                    lead.found(&absent);
                    known[at] = Some(None);
                }
                Looked::Miss(mark) => misses.push((at, lead, mark, None)),
            }
        }
        let batch = Batch::of(self.clone(), loader.clone(), misses.len());
        let mut tickets = Vec::with_capacity(misses.len());
        for (at, lead, mark, fallback) in misses {
            let berth = batch.berth(keys[at]);
            let (flight, ticket) = lead.take_off();
            let load = Load {
                inner: self.clone(),
                keys: self.keys(keys[at])?,
                mark,
                fallback,
                is_away,
                tags: tags.to_vec(),
                berth: Some(berth.clone()),
                loading: berth.loading(),
            };
            tokio::spawn(load.fly(flight));
            tickets.push((at, ticket));
        }
        for (at, ticket) in tickets {
            match ticket.await {
                Ok(Ticket::Landed(outcome)) => known[at] = Some(outcome?),
                Ok(Ticket::Lead(_) | Ticket::Found(_)) | Err(_) => return Err(CacheError::LoadAborted),
            }
        }
        Ok(())
    }
}
