use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// How often the keys of one stripe were forgotten, at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Epoch(u64);

/// Counts what was forgotten, in stripes of keys.
///
/// Keys of one stripe share a fate: forgetting one keeps the others from being put in by who is asking for them just now, which costs
/// another question. So many stripes make that rare: with 100 invalidations in the time of one question, 5 % of the answers.
pub(super) struct Epochs {
    stripes: Box<[Mutex<u64>]>,
    hasher: RandomState,
}

const STRIPES: usize = 2048;

impl Epochs {
    pub(super) fn new() -> Self {
        Self { stripes: (0..STRIPES).map(|_| Mutex::new(0)).collect(), hasher: RandomState::new() }
    }

    fn stripe(&self, key: &str) -> MutexGuard<'_, u64> {
        let stripe = self.hasher.hash_one(key) as usize % self.stripes.len();
        self.stripes[stripe].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn of(&self, key: &str) -> Epoch {
        Epoch(*self.stripe(key))
    }

    /// Puts in what was asked for in this epoch, unless the key was forgotten since.
    ///
    /// The stripe is locked meanwhile. So either the key is forgotten before, and nothing is put in; or after, and who forgets it
    /// finds it there to remove.
    pub(super) fn if_current(&self, key: &str, epoch: Epoch, put_in: impl FnOnce() -> bool) -> bool {
        let stripe = self.stripe(key);
        *stripe == epoch.0 && put_in()
    }

    /// Comes before what is there is removed.
    pub(super) fn advance(&self, key: &str) {
        let mut stripe = self.stripe(key);
        *stripe = stripe.wrapping_add(1);
    }

    pub(super) fn advance_all(&self) {
        for stripe in &self.stripes {
            let mut stripe = stripe.lock().unwrap_or_else(PoisonError::into_inner);
            *stripe = stripe.wrapping_add(1);
        }
    }
}

impl fmt::Debug for Epochs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Epochs").finish_non_exhaustive()
    }
}
