mod answer;
mod ask;
mod batch;
mod denied;
mod fetching;
mod lease;
mod options;
mod returning;
mod sets;

pub use {
    answer::{Answer, Source},
    lease::LeaseOptions,
    options::{FailurePolicy, FrontOptions},
};

use crate::{Quota, RateLimitOptions, RateLimiter, gcra::Gcra};
use batch::Batcher;
use denied::Denied;
use kv_core::{Breaker, Error, MemoryStore, Result};
use lease::Leases;
use sets::Hash;
use std::sync::{Arc, OnceLock, atomic::AtomicBool};
use tokio::{runtime::Handle, time::Instant};

/// A limiter that asks the store less often, and knows what to say when it is away. Clones share everything.
///
/// A check goes through what the [options](FrontOptions) put in front of the store, in this order; the first that can decides:
///
/// 1. units that were [leased](FrontOptions::lease) before,
/// 2. the [deny cache](FrontOptions::deny_cache),
/// 3. the [breaker](FrontOptions::breaker),
/// 4. the store, together with checks that are waiting as well ([`batch`](FrontOptions::batch)), within the
///    [budget](FrontOptions::budget),
/// 5. the [failure policy](FrontOptions::on_failure).
///
/// ```
/// # use redis_ratelimit::{kv_core::MemoryStore, *}; use std::{sync::Arc, time::Duration};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), kv_core::Error> {
/// let limiter = RateLimiter::new(Arc::new(MemoryStore::new()), Quota::per_second(100), RateLimitOptions::default())?;
/// let options = FrontOptions::default()
///     .deny_cache(10_000)
///     .budget(Duration::from_millis(20))
///     .on_failure(FailurePolicy::Local)
///     .processes(4);
/// let limiter = FrontLimiter::new(limiter, options)?;
/// assert!(limiter.check("ada").await?.is_allowed());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[doc(alias = "hybrid")]
#[doc(alias = "cached")]
pub struct FrontLimiter {
    front: Arc<Front>,
}

#[derive(Debug)]
struct Front {
    limiter: RateLimiter,
    gcra: Gcra,
    options: FrontOptions,
    hash: Hash,
    batcher: Option<Arc<Batcher>>,
    denied: Option<Denied>,
    leases: Option<Leases>,
    breaker: Option<Breaker>,
    insurance: Option<RateLimiter>,
    /// Where what is left of leases is given back.
    runtime: OnceLock<Handle>,
    is_swept: AtomicBool,
}

impl FrontLimiter {
    /// Puts this in front of a limiter.
    ///
    /// Errors: [`InvalidConfig`](kv_core::ErrorKind::InvalidConfig) naming the option, and for a limiter with
    /// [`ban`](RateLimitOptions::ban); [`Unsupported`](kv_core::ErrorKind::Unsupported) for a limiter of another
    /// [`Algorithm`](crate::Algorithm) than GCRA. No round trip.
    pub fn new(limiter: RateLimiter, options: FrontOptions) -> Result<Self> {
        options.check()?;
        let gcra = *limiter.gcra()?;
        if limiter.bans().is_ok() {
            return Err(Error::invalid_config("ratelimit", "ban is not for a limiter with a front"));
        }
        let insurance = match options.on_failure {
            FailurePolicy::Local => Some(insurance(limiter.quota(), options.processes)?),
            _ => None,
        };
        let front = Front {
            batcher: (options.batch > 1).then(|| Batcher::new(limiter.clone(), options.batch)),
            denied: (options.deny_cache > 0).then(|| Denied::new(options.deny_cache)),
            leases: options.lease.map(|lease| Leases::new(lease, options.processes)),
            breaker: options.breaker.map(|breaker| Breaker::new("ratelimit", breaker)).transpose()?,
            insurance,
            hash: Hash::new(),
            runtime: OnceLock::new(),
            is_swept: AtomicBool::new(false),
            limiter,
            gcra,
            options,
        };
        Ok(Self { front: Arc::new(front) })
    }

    /// The limiter behind it.
    pub fn limiter(&self) -> &RateLimiter {
        &self.front.limiter
    }

    /// Asks for one; see [`check_n`](Self::check_n).
    pub fn check<'a>(&'a self, id: &'a str) -> impl Future<Output = Result<Answer>> + Send + 'a {
        self.check_n(id, 1)
    }

    /// Asks for `n` at once, all or nothing; a denial takes nothing. At most one round trip; two for the last units of a quota with
    /// [`lease`](FrontOptions::lease).
    ///
    /// Errors are those of [`RateLimiter::check_n`] that the [failure policy](FrontOptions::on_failure) leaves to the caller. One
    /// [that may have been executed](kv_core::Executed::Maybe), one that the policy decided upon, and a dropped future, may have taken
    /// them; they are not asked for again. A dropped future holds up no other check.
    pub async fn check_n(&self, id: &str, n: u64) -> Result<Answer> {
        let front = &self.front;
        let hash = front.hash(id);
        match front.at_hand(hash, id, n) {
            Some(answer) => Ok(answer),
            // Boxed, so that those who need not ask do not move all it takes to ask about.
            None => Box::pin(front.ask(hash, id, n)).await,
        }
    }

    /// Gives back what was taken and not used, never more than full, and says how much can be taken at once then. One round trip.
    ///
    /// An error [that may have been executed](kv_core::Executed::Maybe), and a dropped future, may have given them back.
    pub async fn refund(&self, id: &str, n: u64) -> Result<u64> {
        let _forget = Forget { front: &self.front, id };
        self.front.limiter.refund(id, n).await
    }

    /// Empties the bucket of an id, so that all of its burst is free; what is leased of it is thrown away. One round trip.
    pub async fn reset(&self, id: &str) -> Result<()> {
        let _forget = Forget { front: &self.front, id };
        if let Some(leases) = &self.front.leases {
            leases.forget(self.front.hash(id), id);
        }
        if let Some(insurance) = &self.front.insurance {
            insurance.reset(id).await?;
        }
        self.front.limiter.reset(id).await
    }

    /// Gives back all leased units that are not spent, as dropping the last clone does in the background. One round trip.
    ///
    /// The limiter goes on, and leases anew. Units whose return fails are lost until their bucket drains.
    pub async fn return_leases(&self) -> Result<()> {
        let unused = self.front.leases.as_ref().map(Leases::take_all).unwrap_or_default();
        self.front.give_back(&unused).await
    }
}

/// The share of one process.
fn insurance(quota: Quota, processes: u32) -> Result<RateLimiter> {
    let too_many = || Error::invalid_config("ratelimit", "processes are too many for the quota's period");
    let period = quota.period.checked_mul(processes).ok_or_else(too_many)?;
    let share = Quota::per(quota.limit, period).burst((quota.burst / u64::from(processes)).max(1));
    RateLimiter::new(Arc::new(MemoryStore::new()), share, RateLimitOptions::default()).map_err(|_| too_many())
}

impl Front {
    fn hash(&self, id: &str) -> u64 {
        self.hash.of(id)
    }

    /// What can be said without the store.
    fn at_hand(&self, hash: u64, id: &str, n: u64) -> Option<Answer> {
        if n == 0 || (self.leases.is_none() && self.denied.is_none()) {
            return None;
        }
        let now = Instant::now();
        let paid = self.leases.as_ref().and_then(|leases| leases.pay(hash, id, n, now));
        if let Some(decision) = paid {
            return Some(Answer { decision, source: Source::Lease });
        }
        let decision = self.denied.as_ref()?.find(hash, id, n, now, &self.gcra)?;
        Some(Answer { decision, source: Source::DenyCache })
    }
}

/// Forgets what is known of an id whose bucket is changed, however that ends.
struct Forget<'a> {
    front: &'a Front,
    id: &'a str,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        if let Some(denied) = &self.front.denied {
            denied.forget(self.front.hash(self.id), self.id);
        }
    }
}
