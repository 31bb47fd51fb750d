mod answer;
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

use crate::{Decision, Quota, RateLimitOptions, RateLimiter, gcra::Gcra};
use batch::Batcher;
use denied::{Asked, Denied};
use fetching::Fetching;
use kv_core::{Breaker, Error, ErrorKind, MemoryStore, Result};
use lease::{Leases, Spend};
use sets::Hash;
use std::sync::{Arc, OnceLock, atomic::AtomicBool};
use tokio::{
    runtime::Handle,
    time::{Instant, timeout},
};

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
    /// Errors: [`InvalidConfig`](ErrorKind::InvalidConfig) naming the option, and for a limiter with
    /// [`ban`](RateLimitOptions::ban); [`Unsupported`](ErrorKind::Unsupported) for a limiter of another
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
        let mut fetch = None;
        let mut hash = 0;
        if n > 0 && (front.leases.is_some() || front.denied.is_some()) {
            hash = front.hash(id);
            let now = Instant::now();
            if let Some(leases) = &front.leases {
                let (spend, unused) = leases.spend(hash, id, n, now);
                front.give_back_soon(unused);
                match spend {
                    Spend::Paid(decision) => return Ok(Answer { decision, source: Source::Lease }),
                    Spend::Fetch(units) => fetch = Some(Fetching::new(front.clone(), hash, id, units)),
                    Spend::Ask => {}
                }
            }
            if let Some(denied) = &front.denied
                && let Some(decision) = denied.find(hash, id, n, now, &front.gcra)
            {
                return Ok(Answer { decision, source: Source::DenyCache });
            }
        }
        // Boxed, so that those who need not ask do not move all it takes to ask about.
        Box::pin(front.ask(hash, id, n, fetch)).await
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

    /// Asks the store, or whoever decides in its place.
    async fn ask(self: &Arc<Self>, hash: u64, id: &str, n: u64, fetch: Option<Fetching>) -> Result<Answer> {
        let leave = match self.breaker.as_ref().map(Breaker::leave).transpose() {
            Ok(leave) => leave,
            Err(error) => return self.without_store(id, n, error).await,
        };
        let asked = async {
            match fetch {
                Some(fetching) => fetching.take(n).await,
                None => self.settle(hash, id, n, self.room(id, n).await?),
            }
        };
        let decided = match self.options.budget {
            None => asked.await,
            Some(budget) => timeout(budget, asked).await.unwrap_or_else(|_| {
                Err(Error::new(ErrorKind::Timeout, "ratelimit").with_detail("over the budget of a check"))
            }),
        };
        match decided {
            Ok(decision) => {
                if let Some(leave) = leave {
                    leave.answered();
                }
                Ok(Answer { decision, source: Source::Store })
            }
            Err(error) if is_away(&error) => {
                if let Some(leave) = leave {
                    leave.failed();
                }
                self.without_store(id, n, error).await
            }
            Err(error) => {
                let answered = matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::WrongType);
                if let Some(leave) = leave.filter(|_| answered) {
                    leave.answered();
                }
                Err(error)
            }
        }
    }

    /// What asking for so many units says.
    async fn room(&self, id: &str, units: u64) -> Result<Told> {
        let asked = Instant::now();
        let asked = self.denied.as_ref().map_or(Asked::at(asked), |denied| denied.asked(asked));
        let (key, cost) = (self.limiter.key(id)?, self.gcra.cost(units));
        let room = match &self.batcher {
            Some(batcher) => batcher.room(key, cost).await?,
            None => self.limiter.room(&key, cost).await?,
        };
        Ok(Told { asked, cost, room })
    }

    /// The decision on a check that was asked for alone, and what is learned from it.
    fn settle(&self, hash: u64, id: &str, n: u64, told: Told) -> Result<Decision> {
        let gcra = &self.gcra;
        let decision = gcra.decide(n, told.room);
        if n > 0 {
            if let Some(denied) = self.denied.as_ref().filter(|_| told.room < 0) {
                denied.record(hash, id, n, told.room + told.cost, told.asked, gcra);
            }
            if let Some(leases) = &self.leases {
                leases.learn(hash, id, &decision, 0, told.asked.sent);
            }
        }
        Ok(decision)
    }

    /// What the failure policy says.
    async fn without_store(&self, id: &str, n: u64, error: Error) -> Result<Answer> {
        match (self.options.on_failure, &self.insurance) {
            (FailurePolicy::Open, _) => Ok(Answer::UNLIMITED),
            (FailurePolicy::Local, Some(insurance)) => {
                Ok(Answer { decision: insurance.check_n(id, n).await?, source: Source::Insurance })
            }
            _ => Err(error),
        }
    }
}

/// What the store says of so many ticks.
#[derive(Clone, Copy)]
struct Told {
    asked: Asked,
    cost: i64,
    room: i64,
}

/// Whether it is the store's failure, and not the caller's or the key's.
fn is_away(error: &Error) -> bool {
    error.is_temporary() || error.kind() == ErrorKind::OutOfMemory
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
