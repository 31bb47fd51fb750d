use kv_core::{Error, Result};
use std::time::Duration;

/// How much a cache keeps in its own process, in front of the store, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NearOptions {
    /// The most that is kept, in bytes of keys and encoded values and about 160 bytes for each entry; the least used goes first. A
    /// value above 1 MiB or this, whichever is less, may not be kept. Default: 64 MiB.
    #[doc(alias = "max_capacity")]
    pub max_bytes: usize,
    /// The longest that anything is served from here, whatever its TTL: how stale it can be if an invalidation is lost although the
    /// link seems up. Default: 1 minute.
    #[doc(alias = "ttl")]
    pub max_age: Duration,
    /// What is served while invalidations cannot be heard; once they can, everything is forgotten. Default:
    /// [`WhileLinkDown::Bypass`].
    pub while_link_down: WhileLinkDown,
    /// Whether the store is asked to tell of every change of an entry, so that those of foreign writers are heard, too: of who
    /// deletes or writes the key by other means than this crate. For stores with [`Tracking`](kv_core::Tracking): Redis from version 6,
    /// by client-side caching on a connection of its own.
    ///
    /// What this process stores itself comes back as a change, which costs one more read of it. Where the store turns out not to
    /// track, nothing is kept. Default: no.
    #[doc(alias = "CLIENT TRACKING")]
    #[doc(alias = "client-side caching")]
    pub tracking: bool,
    /// Whether only hot keys are kept, see [`CacheOptions::hot_keys`](crate::CacheOptions::hot_keys): a small part of what is read, and most of the
    /// reads of it. Default: no.
    #[doc(alias = "promotion")]
    pub hot_only: bool,
}

/// What is served from the process while invalidations cannot be heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhileLinkDown {
    /// Nothing: every read asks the store.
    #[default]
    Bypass,
    /// What is at most so much older than what the store says: kept for so long after it came or the link went down,
    /// whichever is later.
    Cap(Duration),
}

impl WhileLinkDown {
    pub(super) fn cap(self) -> Duration {
        match self {
            Self::Bypass => Duration::ZERO,
            Self::Cap(cap) => cap,
        }
    }
}

impl Default for NearOptions {
    fn default() -> Self {
        Self {
            max_bytes: 64 << 20,
            max_age: Duration::from_secs(60),
            while_link_down: WhileLinkDown::default(),
            tracking: false,
            hot_only: false,
        }
    }
}

impl NearOptions {
    /// Sets [`max_bytes`](Self::max_bytes).
    #[must_use]
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets [`max_age`](Self::max_age).
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// Sets [`while_link_down`](Self::while_link_down).
    #[must_use]
    pub fn while_link_down(mut self, policy: WhileLinkDown) -> Self {
        self.while_link_down = policy;
        self
    }

    /// Sets [`tracking`](Self::tracking).
    #[must_use]
    pub fn tracking(mut self, tracking: bool) -> Self {
        self.tracking = tracking;
        self
    }

    /// Sets [`hot_only`](Self::hot_only).
    #[must_use]
    pub fn hot_only(mut self, hot_only: bool) -> Self {
        self.hot_only = hot_only;
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        let refused = |detail| Err(Error::invalid_config("cache", detail));
        if self.max_bytes == 0 {
            return refused("near.max_bytes must not be zero");
        }
        if self.max_age.is_zero() {
            return refused("near.max_age must not be zero");
        }
        if self.while_link_down == WhileLinkDown::Cap(Duration::ZERO) {
            return refused("near.while_link_down must not be capped at zero: bypass says that");
        }
        Ok(())
    }
}
