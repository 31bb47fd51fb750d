use crate::CacheError;
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// What a load brings: a value, its absence, or an error, the same for every waiter.
pub(crate) type Outcome<V> = Result<Option<Arc<V>>, CacheError>;

type Landing<V> = watch::Receiver<Option<Outcome<V>>>;

/// The loads under way, one per key.
pub(crate) struct Flights<V> {
    flights: Arc<Mutex<HashMap<String, Landing<V>>>>,
}

/// The end of a flight that must land: dropped without an outcome, it tells its waiters so.
pub(crate) struct Pilot<V> {
    flights: Arc<Mutex<HashMap<String, Landing<V>>>>,
    key: String,
    landing: watch::Sender<Option<Outcome<V>>>,
}

/// The end of a flight that waits for its outcome.
pub(crate) struct Passenger<V>(Landing<V>);

impl<V> Flights<V> {
    /// The flight of a key, if one is under way.
    pub(crate) fn join(&self, key: &str) -> Option<Passenger<V>> {
        lock(&self.flights).get(key).cloned().map(Passenger)
    }

    /// The flight of a key, and its pilot if it begins now.
    pub(crate) fn join_or_begin(&self, key: &str) -> (Passenger<V>, Option<Pilot<V>>) {
        let mut flights = lock(&self.flights);
        if let Some(landing) = flights.get(key) {
            return (Passenger(landing.clone()), None);
        }
        let (sender, landing) = watch::channel(None);
        flights.insert(key.to_owned(), landing.clone());
        let pilot = Pilot { flights: self.flights.clone(), key: key.to_owned(), landing: sender };
        (Passenger(landing), Some(pilot))
    }

    /// Lets the flight of a key go on for those who wait, and for nobody who comes later.
    pub(crate) fn forget(&self, key: &str) {
        lock(&self.flights).remove(key);
    }
}

impl<V> Pilot<V> {
    pub(crate) fn land(self, outcome: Outcome<V>) {
        self.landing.send_replace(Some(outcome));
    }
}

impl<V> Drop for Pilot<V> {
    fn drop(&mut self) {
        let mut flights = lock(&self.flights);
        // After a `forget` the key may be another flight's.
        if flights.get(&self.key).is_some_and(|landing| landing.same_channel(&self.landing.subscribe())) {
            flights.remove(&self.key);
        }
    }
}

impl<V> Passenger<V> {
    pub(crate) async fn outcome(mut self) -> Outcome<V> {
        match self.0.wait_for(Option::is_some).await {
            Ok(landed) => landed.clone().unwrap_or(Err(CacheError::LoadAborted)),
            Err(_) => Err(CacheError::LoadAborted),
        }
    }
}

impl<V> Default for Flights<V> {
    fn default() -> Self {
        Self { flights: Arc::default() }
    }
}

impl<V> fmt::Debug for Flights<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").field("under_way", &lock(&self.flights).len()).finish()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
