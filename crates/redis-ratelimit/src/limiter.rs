use crate::{Decision, Grant, Quota, RateLimitOptions, gcra::Gcra, script::CHECK};
use kv_core::{Arg, Keyspace, KvStore, KvStoreExt, Result};
use std::sync::Arc;

/// Limits the rate of requests, each id on its own. Clones share the store.
///
/// The algorithm is GCRA, which is a token bucket and a leaky bucket in one number: exact to the microsecond, by the
/// server's clock. Of concurrent requests, from any number of processes, never more than the quota are admitted.
#[derive(Clone, Debug)]
pub struct RateLimiter {
    store: Arc<dyn KvStore>,
    keys: Keyspace,
    quota: Quota,
    gcra: Gcra,
}

impl RateLimiter {
    /// A limiter on a store that runs scripts.
    ///
    /// Errors: [`InvalidConfig`](kv_core::ErrorKind::InvalidConfig) for a quota with a zero in it or one that takes 140
    /// years to refill; [`Unsupported`](kv_core::ErrorKind::Unsupported) for a store without scripts. No round trip.
    pub fn new(store: Arc<dyn KvStore>, quota: Quota, options: RateLimitOptions) -> Result<Self> {
        store.require_scripts("ratelimit")?;
        Ok(Self { store, keys: Keyspace::new(options.prefix)?, quota, gcra: Gcra::new(quota)? })
    }

    /// The quota.
    pub fn quota(&self) -> Quota {
        self.quota
    }

    /// Asks for one. One round trip.
    #[doc(alias = "allow")]
    #[doc(alias = "hit")]
    #[doc(alias = "limit")]
    pub async fn check(&self, id: &str) -> Result<Decision> {
        self.check_n(id, 1).await
    }

    /// Asks for `n` at once, all or nothing; a denial takes nothing. Zero is always allowed. One round trip.
    ///
    /// An error [that may have been executed](kv_core::Executed::Maybe), and a dropped future, may have taken them.
    /// They are not asked for again: the caller decides whether to let the request go on.
    #[doc(alias = "allow_n")]
    pub async fn check_n(&self, id: &str, n: u64) -> Result<Decision> {
        let room = self.run(id, self.gcra.cost(n)).await?;
        Ok(self.gcra.decide(n, room))
    }

    /// Takes as many of `n` as there are, in whole units. One round trip.
    ///
    /// An error [that may have been executed](kv_core::Executed::Maybe), and a dropped future, may have taken them.
    #[doc(alias = "allow_at_most")]
    pub async fn check_at_most(&self, id: &str, n: u64) -> Result<Grant> {
        let (unit, key) = (self.gcra.cost(1), self.key(id)?);
        let room = self.room_before(&key, unit, n.min(self.quota.burst)).await?;
        let granted = n.min(u64::try_from(room / unit).unwrap_or_default());
        let decision = match granted {
            0 => self.gcra.preview(n.min(1), room),
            granted => self.gcra.decide(granted, room - self.gcra.cost(granted)),
        };
        Ok(Grant { granted, decision })
    }

    /// Says what [`check`](Self::check) would decide, and takes nothing. One round trip.
    pub async fn peek(&self, id: &str) -> Result<Decision> {
        self.peek_n(id, 1).await
    }

    /// Says what [`check_n`](Self::check_n) would decide, and takes nothing. One round trip.
    pub async fn peek_n(&self, id: &str, n: u64) -> Result<Decision> {
        let room = self.run(id, 0).await?;
        Ok(self.gcra.preview(n, room))
    }

    /// Gives back what was taken and not used, never more than full, and says how much can be taken at once then. One round trip.
    ///
    /// An error [that may have been executed](kv_core::Executed::Maybe), and a dropped future, may have given it back. It is not tried
    /// again, since that could give back twice.
    #[doc(alias = "reward")]
    #[doc(alias = "add_tokens")]
    pub async fn refund(&self, id: &str, n: u64) -> Result<u64> {
        let rooms = self.give_back(&[(id, n)]).await?;
        Ok(rooms.first().map_or(0, |room| self.gcra.preview(0, *room).remaining()))
    }

    /// Empties the bucket of an id, so that all of its burst is free. One round trip.
    pub async fn reset(&self, id: &str) -> Result<()> {
        self.store.delete(&[&self.keys.key(id, "")?]).await.map(drop)
    }

    /// The room that taking so many ticks leaves.
    async fn run(&self, id: &str, cost: i64) -> Result<i64> {
        self.room(&self.key(id)?, cost).await
    }
}

/// What stands in front of a limiter builds on.
impl RateLimiter {
    pub(crate) fn store(&self) -> &Arc<dyn KvStore> {
        &self.store
    }

    pub(crate) fn gcra(&self) -> &Gcra {
        &self.gcra
    }

    pub(crate) fn key(&self, id: &str) -> Result<String> {
        self.keys.key(id, "")
    }

    /// The room in the bucket under a key that taking so many ticks leaves; negative if they are denied: what is lacking.
    pub(crate) async fn room(&self, key: &str, cost: i64) -> Result<i64> {
        let args = [
            Arg::Int(self.gcra.capacity),
            Arg::Int(cost),
            Arg::Int(self.gcra.per_micro),
            Arg::Int(self.gcra.ttl_millis()),
            Arg::Bytes(b""),
        ];
        let scripts = self.store.require_scripts(CHECK.name())?;
        let room = scripts.run(&CHECK, &[key], &args).await?.into_int(CHECK.name())?;
        Ok(room.clamp(-cost, self.gcra.capacity))
    }
}
