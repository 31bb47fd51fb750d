use crate::{
    Decision, Grant, Quota, RateLimitOptions,
    ban::{Bans, bans_nobody},
    gcra::{Gcra, not_gcra},
    reserve::Leaving,
    script::CHECK,
    window::{Ask, Window},
};
use kv_core::{Arg, Error, ErrorKind, Keyspace, KvStore, KvStoreExt, Result};
use std::{sync::Arc, time::Duration};

/// Limits the rate of requests, each id on its own. Clones share the store.
///
/// The algorithm is GCRA, which is a token bucket and a leaky bucket in one number, unless the quota names another
/// [`Algorithm`](crate::Algorithm): exact to the microsecond, by the server's clock. Of concurrent requests, from any number of processes,
/// never more than the quota are admitted.
#[derive(Clone, Debug)]
pub struct RateLimiter {
    store: Arc<dyn KvStore>,
    keys: Keyspace,
    quota: Quota,
    rule: Rule,
    longest_wait: Duration,
    leaving: Option<Leaving>,
}

#[derive(Clone, Debug)]
enum Rule {
    Gcra(Gcra),
    Window(Window),
    Bans(Bans),
}

impl RateLimiter {
    /// A limiter on a store that runs scripts.
    ///
    /// Errors: [`InvalidConfig`](kv_core::ErrorKind::InvalidConfig) for a quota with a zero in it, one that takes 140
    /// years to refill, or one that the [`Algorithm`](crate::Algorithm) does not take: by windows, a burst apart from the limit, more than
    /// 2^51, 100,000 in a log, or 71 years; for a `longest_wait` of 140 years, and for one of `ban` and `longest_wait` by windows or both of them; [`Unsupported`](kv_core::ErrorKind::Unsupported) for a store without scripts. No round trip.
    pub fn new(store: Arc<dyn KvStore>, quota: Quota, options: RateLimitOptions) -> Result<Self> {
        store.require_scripts("ratelimit")?;
        let rule = match Window::new(quota)? {
            Some(window) => {
                options.of_one_bucket()?;
                Rule::Window(window)
            }
            None => match options.ban {
                Some(ban) if options.longest_wait.is_zero() => Rule::Bans(Bans::new(Gcra::new(quota)?, ban)?),
                Some(_) => return Err(Error::invalid_config("ratelimit", "ban and longest_wait do not go together")),
                None => Rule::Gcra(Gcra::with_wait(quota, options.longest_wait)?),
            },
        };
        let leaving = match &rule {
            Rule::Gcra(gcra) => Some(Leaving::new(store.clone(), *gcra)),
            _ => None,
        };
        let keys = Keyspace::new(options.prefix)?;
        Ok(Self { store, keys, quota, rule, longest_wait: options.longest_wait, leaving })
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
        match &self.rule {
            Rule::Gcra(gcra) => Ok(gcra.decide(n, self.room(&self.key(id)?, gcra.cost(n)).await?)),
            _ => Ok(self.ask(id, Ask::Take(n)).await?.1),
        }
    }

    /// Takes as many of `n` as there are, in whole units. One round trip.
    ///
    /// An error [that may have been executed](kv_core::Executed::Maybe), and a dropped future, may have taken them.
    #[doc(alias = "allow_at_most")]
    pub async fn check_at_most(&self, id: &str, n: u64) -> Result<Grant> {
        let (granted, decision) = match &self.rule {
            Rule::Gcra(gcra) => {
                gcra.grant(n, self.room_before(&self.key(id)?, gcra.cost(1), n.min(self.quota.burst)).await?)
            }
            _ => self.ask(id, Ask::TakeAtMost(n)).await?,
        };
        Ok(Grant { granted, decision })
    }

    /// Says what [`check`](Self::check) would decide, and takes nothing. One round trip.
    pub async fn peek(&self, id: &str) -> Result<Decision> {
        self.peek_n(id, 1).await
    }

    /// Says what [`check_n`](Self::check_n) would decide, and takes nothing. One round trip.
    pub async fn peek_n(&self, id: &str, n: u64) -> Result<Decision> {
        match &self.rule {
            Rule::Gcra(gcra) => Ok(gcra.preview(n, self.room(&self.key(id)?, 0).await?)),
            _ => Ok(self.ask(id, Ask::Look(n)).await?.1),
        }
    }

    /// Gives back what was taken and not used, never more than full, and says how much can be taken at once then. One round trip.
    ///
    /// An error [that may have been executed](kv_core::Executed::Maybe), and a dropped future, may have given it back. It is not tried
    /// again, since that could give back twice.
    #[doc(alias = "reward")]
    #[doc(alias = "add_tokens")]
    pub async fn refund(&self, id: &str, n: u64) -> Result<u64> {
        match &self.rule {
            Rule::Gcra(gcra) | Rule::Bans(Bans { gcra, .. }) => {
                let rooms = self.give_back(&[(id, n)]).await?;
                Ok(rooms.first().map_or(0, |room| gcra.preview(0, *room).remaining()))
            }
            Rule::Window(_) => Ok(self.ask(id, Ask::GiveBack(n)).await?.1.remaining()),
        }
    }

    /// Forgets what an id has taken, so that all is free, and its bans. One round trip.
    pub async fn reset(&self, id: &str) -> Result<()> {
        let key = self.key(id)?;
        match &self.rule {
            Rule::Bans(_) => self.store.delete(&[&key, &self.ban_key(id)?]).await.map(drop),
            _ => self.store.delete(&[&key]).await.map(drop),
        }
    }

    /// Bans an id for so long from now, in place of any ban it is under; the next by denials is as much longer as after any other.
    /// One round trip.
    ///
    /// Errors: [`InvalidInput`](kv_core::ErrorKind::InvalidInput) for no time at all or more than 71 years;
    /// [`Unsupported`](kv_core::ErrorKind::Unsupported) for a limiter without [`ban`](RateLimitOptions::ban). After one
    /// [that may have been executed](kv_core::Executed::Maybe), and if the future is dropped, it may be banned.
    #[doc(alias = "block")]
    pub async fn ban(&self, id: &str, length: Duration) -> Result<()> {
        self.bans()?.ban(&*self.store, &self.ban_key(id)?, length).await
    }

    /// Ends the ban of an id, and forgets its denials and the bans before it. One round trip.
    ///
    /// What it has taken stays taken: [`reset`](Self::reset) frees that as well. Errors as of [`ban`](Self::ban).
    #[doc(alias = "unblock")]
    pub async fn lift_ban(&self, id: &str) -> Result<()> {
        self.bans()?;
        self.store.delete(&[&self.ban_key(id)?]).await.map(drop)
    }

    async fn ask(&self, id: &str, ask: Ask) -> Result<(u64, Decision)> {
        let (store, key) = (&*self.store, self.key(id)?);
        match &self.rule {
            Rule::Gcra(_) => Err(not_gcra()),
            Rule::Window(window) => window.ask(store, &key, ask).await,
            Rule::Bans(bans) => bans.ask(store, [&key, &self.ban_key(id)?], ask).await,
        }
    }

    pub(crate) fn bans(&self) -> Result<&Bans> {
        match &self.rule {
            Rule::Bans(bans) => Ok(bans),
            _ => Err(bans_nobody()),
        }
    }

    fn ban_key(&self, id: &str) -> Result<String> {
        self.keys.key(id, "ban")
    }
}

/// What stands in front of a limiter builds on.
impl RateLimiter {
    pub(crate) fn store(&self) -> &Arc<dyn KvStore> {
        &self.store
    }

    /// The bucket's numbers; [`Unsupported`](kv_core::ErrorKind::Unsupported) where there is none, since another algorithm counts.
    pub(crate) fn gcra(&self) -> Result<&Gcra> {
        match &self.rule {
            Rule::Gcra(gcra) | Rule::Bans(Bans { gcra, .. }) => Ok(gcra),
            Rule::Window(_) => Err(not_gcra()),
        }
    }

    pub(crate) fn longest_wait(&self) -> Duration {
        self.longest_wait
    }

    /// Where reservations are given back; [`Unsupported`](kv_core::ErrorKind::Unsupported) where there are none.
    pub(crate) fn leaving(&self) -> Result<&Leaving> {
        let without =
            || Error::new(ErrorKind::Unsupported, "ratelimit").with_detail("no reservations by windows or with bans");
        self.leaving.as_ref().ok_or_else(without)
    }

    pub(crate) fn key(&self, id: &str) -> Result<String> {
        let suffix = match &self.rule {
            Rule::Gcra(_) | Rule::Bans(_) => "",
            Rule::Window(window) => window.suffix(),
        };
        self.keys.key(id, suffix)
    }

    /// The room in the bucket under a key that taking so many ticks leaves; negative if they are denied: what is lacking.
    pub(crate) async fn room(&self, key: &str, cost: i64) -> Result<i64> {
        let gcra = self.gcra()?;
        let args = [
            Arg::Int(gcra.capacity),
            Arg::Int(cost),
            Arg::Int(gcra.per_micro),
            Arg::Int(gcra.ttl_millis()),
            Arg::Bytes(b""),
            gcra.beyond().unwrap_or(Arg::Bytes(b"")),
        ];
        let args = if gcra.beyond().is_some() { &args[..] } else { &args[..5] };
        let scripts = self.store.require_scripts(CHECK.name())?;
        let room = scripts.run(&CHECK, &[key], args).await?.into_int(CHECK.name())?;
        Ok(gcra.room(room + cost) - cost)
    }
}
