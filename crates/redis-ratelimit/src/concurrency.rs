mod options;
mod script;
mod slot;
mod slots;

pub(crate) use script::{ENTER, LEAVE, STAY};
pub use {
    options::ConcurrencyOptions,
    slot::{Slot, SlotRelease},
};

use kv_core::{Error, Keyspace, KvStore, KvStoreExt, Result};
use slot::Entry;
use slots::Slots;
use std::{sync::Arc, time::Duration};
use tokio::{runtime::Handle, sync::oneshot};

/// Limits how much is under way at once, each id on its own. Clones share the store.
///
/// Up to `limit` slots of an id are occupied at a time, over all processes; whoever dies frees its own when its lease ends, by the
/// server's clock. Nobody waits in line: for that there is redis-lock's semaphore.
///
/// ```
/// # use redis_ratelimit::{kv_core::MemoryStore, *}; use std::sync::Arc;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), kv_core::Error> {
/// let limiter = ConcurrencyLimiter::new(Arc::new(MemoryStore::new()), 1, ConcurrencyOptions::default())?;
/// let ConcurrencyDecision::Admitted(slot) = limiter.try_acquire("reports").await? else { panic!("free") };
/// assert!(!limiter.try_acquire("reports").await?.is_admitted());
/// assert_eq!(slot.release().await?, SlotRelease::Released);
/// assert!(limiter.try_acquire("reports").await?.is_admitted());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[doc(alias = "bulkhead")]
pub struct ConcurrencyLimiter {
    slots: Arc<Slots>,
}

/// What a [`ConcurrencyLimiter`] says of a request.
#[derive(Debug)]
pub enum ConcurrencyDecision {
    /// The request may go on for as long as it holds this.
    Admitted(Slot),
    /// The request must not go on; nothing is occupied.
    Denied {
        /// How many slots are free: fewer than the request asked for. Zero, and nobody looked, for more than there are slots.
        free: u64,
        /// When the next lease ends: whoever holds it may be done sooner, or renew it. `None` for more than there are slots.
        retry_after: Option<Duration>,
    },
}

impl ConcurrencyDecision {
    /// Whether the request may go on.
    pub fn is_admitted(&self) -> bool {
        matches!(self, Self::Admitted(_))
    }

    /// What the request holds, if it may go on.
    pub fn admitted(self) -> Option<Slot> {
        match self {
            Self::Admitted(slot) => Some(slot),
            Self::Denied { .. } => None,
        }
    }
}

impl ConcurrencyLimiter {
    /// A limiter of so many slots per id, on a store that runs scripts. With a limit of zero everything is denied.
    ///
    /// Errors: [`InvalidConfig`](kv_core::ErrorKind::InvalidConfig) naming the option, or outside of a tokio runtime;
    /// [`Unsupported`](kv_core::ErrorKind::Unsupported) for a store without scripts. No round trip.
    pub fn new(store: Arc<dyn KvStore>, limit: u32, options: ConcurrencyOptions) -> Result<Self> {
        options.check()?;
        store.require_scripts("concurrency")?;
        let outside = |_| Error::invalid_config("concurrency", "needs to be built in a tokio runtime");
        let runtime = Handle::try_current().map_err(outside)?;
        let keys = Keyspace::new(&options.prefix)?;
        Ok(Self { slots: Arc::new(Slots { store, keys, limit, options, runtime }) })
    }

    /// Asks for one slot. One round trip.
    #[doc(alias = "acquire")]
    pub async fn try_acquire(&self, id: &str) -> Result<ConcurrencyDecision> {
        self.try_acquire_n(id, 1).await
    }

    /// Asks for `n` slots at once, all or nothing. One round trip; none for zero of them or for more than there are.
    ///
    /// If the store fails after it may have been executed, or the future is dropped, what was occupied all the same is freed in the
    /// background, and by the lease at the latest.
    pub async fn try_acquire_n(&self, id: &str, n: u32) -> Result<ConcurrencyDecision> {
        if n == 0 {
            return Err(Error::invalid_input("concurrency", "no slot asked for"));
        }
        let key = self.slots.keys.key(id, "")?;
        if n > self.slots.limit {
            return Ok(ConcurrencyDecision::Denied { free: 0, retry_after: None });
        }
        let holder = format!("{:032x}:{n}", rand::random::<u128>());
        let (answer, answered) = oneshot::channel();
        self.slots.runtime.spawn(slot::occupy(self.slots.clone(), key, holder, answer));
        let gone = || Err(Error::invalid_config("concurrency", "the runtime shuts down"));
        Ok(match answered.await.unwrap_or_else(|_| gone())? {
            Entry::Admitted(slot) => ConcurrencyDecision::Admitted(slot),
            Entry::Full { free, next_end } => ConcurrencyDecision::Denied { free, retry_after: Some(next_end) },
        })
    }

    /// Frees all slots of an id, whoever holds them; they find their lease over. One round trip.
    pub async fn reset(&self, id: &str) -> Result<()> {
        self.slots.store.delete(&[&self.slots.keys.key(id, "")?]).await.map(drop)
    }
}
