mod check_all;
mod verdict;

pub(crate) use check_all::CHECK_ALL;
pub use verdict::Verdict;

use crate::{Quota, RateLimitOptions, gcra::Gcra};
use kv_core::{Arg, Error, Keyspace, KvStore, KvStoreExt, Result};
use std::sync::Arc;

/// Several limits that a request has to keep at once: ten a second and a thousand an hour, or those of a user and of a tenant.
///
/// A request that one of them refuses is charged to none. All limits of one check are decided in one atomic step: their buckets
/// share a hash slot, that of the tag.
///
/// ```
/// # use redis_ratelimit::{kv_core::MemoryStore, *}; use std::sync::Arc;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), kv_core::Error> {
/// let limits = [("second", Quota::per_second(2)), ("hour", Quota::per_hour(1000))];
/// let limits = RateLimits::new(Arc::new(MemoryStore::new()), limits, RateLimitOptions::default())?;
/// assert!(limits.check_n("ada", 2).await?.is_allowed());
/// let verdict = limits.check("ada").await?;
/// assert_eq!(verdict.refused().collect::<Vec<_>>(), ["second"]);
/// assert_eq!(verdict.of("hour").unwrap().remaining(), 998);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[doc(alias = "MultiLimiter")]
pub struct RateLimits {
    store: Arc<dyn KvStore>,
    keys: Keyspace,
    limits: Arc<[Limit]>,
}

/// One of several limits.
#[derive(Debug)]
struct Limit {
    name: Arc<str>,
    gcra: Gcra,
}

/// So many that one call stays short; nobody needs more.
const MOST: usize = 16;

impl RateLimits {
    /// Limits of these names and quotas, on a store that runs scripts.
    ///
    /// A name is part of its buckets' keys: 1 to 64 visible ASCII characters without a colon, each only once, 16 at the most.
    ///
    /// Errors: [`InvalidConfig`](kv_core::ErrorKind::InvalidConfig) for a name or a number of limits that cannot be, for a `longest_wait` or a `ban`, and for what
    /// [`RateLimiter::new`](crate::RateLimiter::new) refuses; [`Unsupported`](kv_core::ErrorKind::Unsupported) for a store without
    /// scripts, and for another [`Algorithm`](crate::Algorithm) than GCRA. No round trip.
    pub fn new<'a>(
        store: Arc<dyn KvStore>,
        limits: impl IntoIterator<Item = (&'a str, Quota)>,
        options: RateLimitOptions,
    ) -> Result<Self> {
        store.require_scripts("ratelimit")?;
        options.of_one_bucket()?;
        let invalid = |detail| Err(Error::invalid_config("ratelimit", detail));
        let mut each: Vec<Limit> = Vec::new();
        for (name, quota) in limits {
            let is_name =
                (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
            if !is_name {
                return invalid("name of a limit must be 1 to 64 visible ASCII characters without a colon");
            }
            if each.iter().any(|limit| *limit.name == *name) {
                return invalid("name of a limit must be its own");
            }
            each.push(Limit { name: name.into(), gcra: Gcra::new(quota)? });
        }
        if each.is_empty() || each.len() > MOST {
            return invalid("limits must be 1 to 16");
        }
        Ok(Self { store, keys: Keyspace::new(options.prefix)?, limits: each.into() })
    }

    /// Asks all limits of an id for one. One round trip.
    pub async fn check(&self, id: &str) -> Result<Verdict> {
        self.check_n(id, 1).await
    }

    /// Asks all limits of an id for `n`, all or nothing. One round trip.
    ///
    /// An error [that may have been executed](kv_core::Executed::Maybe), and a dropped future, may have taken them.
    pub async fn check_n(&self, id: &str, n: u64) -> Result<Verdict> {
        let keys = self.limits.iter().map(|limit| self.keys.key(id, &limit.name)).collect::<Result<Vec<_>>>()?;
        self.run(&keys, &vec![n; self.limits.len()]).await
    }

    /// Asks each limit for its own id and number, in the order of the limits, all or nothing: a user's and their tenant's, requests and
    /// bytes. One round trip.
    ///
    /// The tag picks the hash slot that all of them share: what contains the others, the tenant for one. An id is counted apart under
    /// each tag. Errors: [`InvalidInput`](kv_core::ErrorKind::InvalidInput) for a number of asks that is not that of the limits; else as
    /// [`check_n`](Self::check_n).
    pub async fn check_each(&self, tag: &str, asks: &[(&str, u64)]) -> Result<Verdict> {
        if asks.len() != self.limits.len() {
            return Err(Error::invalid_input("ratelimit", "there must be one ask for each limit"));
        }
        let key = |(limit, (id, _)): (&Limit, &(&str, u64))| self.keys.key(tag, &format!("{}:{id}", limit.name));
        let keys = self.limits.iter().zip(asks).map(key).collect::<Result<Vec<_>>>()?;
        let units: Vec<u64> = asks.iter().map(|(_, n)| *n).collect();
        self.run(&keys, &units).await
    }

    /// Empties the buckets of an id, as [`check`](Self::check) asks for them. One round trip.
    pub async fn reset(&self, id: &str) -> Result<()> {
        let keys = self.limits.iter().map(|limit| self.keys.key(id, &limit.name)).collect::<Result<Vec<_>>>()?;
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        self.store.delete(&keys).await.map(drop)
    }

    async fn run(&self, keys: &[String], units: &[u64]) -> Result<Verdict> {
        let operation = CHECK_ALL.name();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let mut args = vec![Arg::Bytes(b"")];
        for (limit, n) in self.limits.iter().zip(units) {
            let Gcra { capacity, per_micro, .. } = limit.gcra;
            args.extend([capacity, limit.gcra.cost(*n), per_micro, limit.gcra.ttl_millis()].map(Arg::Int));
        }
        let rooms =
            self.store.require_scripts(operation)?.run(&CHECK_ALL, &keys, &args).await?.into_array(operation)?;
        let rooms = rooms.into_iter().map(|room| room.into_int(operation)).collect::<Result<Vec<_>>>()?;
        if rooms.len() != units.len() {
            return Err(Error::new(kv_core::ErrorKind::Corrupt, operation).with_detail("reply is of another form"));
        }
        let is_allowed =
            self.limits.iter().zip(units).zip(&rooms).all(|((limit, n), room)| *room >= limit.gcra.cost(*n));
        let each = self.limits.iter().zip(units).zip(rooms).map(|((limit, n), room)| {
            let room = room.clamp(0, limit.gcra.capacity);
            let decision = match is_allowed {
                true => limit.gcra.decide(*n, room - limit.gcra.cost(*n)),
                false => limit.gcra.preview(*n, room),
            };
            (limit.name.clone(), decision)
        });
        Ok(Verdict::new(is_allowed, each.collect()))
    }
}
