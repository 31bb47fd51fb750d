use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// The keys that are being loaded ahead of time, or for whom that failed just now: nobody else in this process begins.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refreshes(Arc<Mutex<HashMap<String, Pause>>>);

#[derive(Debug)]
enum Pause {
    UnderWay,
    Until(Instant),
}

/// A refresh under way; dropped, the next may begin, unless there is to be a pause.
#[derive(Debug)]
pub(crate) struct Refresh {
    refreshes: Refreshes,
    key: String,
}

/// From here on those that are over are looked for at each beginning.
const MANY: usize = 1024;

impl Refreshes {
    /// Begins one; `None` if it is not the time.
    pub(crate) fn begin(&self, key: &str) -> Option<Refresh> {
        let (mut keys, now) = (self.lock(), Instant::now());
        if is_paused(keys.get(key), now) {
            return None;
        }
        if keys.len() >= MANY {
            keys.retain(|_, pause| is_paused(Some(pause), now));
        }
        keys.insert(key.to_owned(), Pause::UnderWay);
        Some(Refresh { refreshes: self.clone(), key: key.to_owned() })
    }

    /// Lets none begin for a while.
    pub(crate) fn pause(&self, key: &str, time: Duration) {
        self.lock().insert(key.to_owned(), Pause::Until(Instant::now() + time));
    }

    /// Whether one is under way, or was in vain just now.
    pub(crate) fn is_paused(&self, key: &str) -> bool {
        is_paused(self.lock().get(key), Instant::now())
    }

    /// Forgets a pause: what is asked for now is another value.
    pub(crate) fn forget(&self, key: &str) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Pause>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_paused(pause: Option<&Pause>, now: Instant) -> bool {
    match pause {
        None => false,
        Some(Pause::UnderWay) => true,
        Some(Pause::Until(until)) => now < *until,
    }
}

impl Drop for Refresh {
    fn drop(&mut self) {
        let mut keys = self.refreshes.lock();
        if let Some(Pause::UnderWay) = keys.get(&self.key) {
            keys.remove(&self.key);
        }
    }
}
