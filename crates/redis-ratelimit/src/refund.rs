use crate::{
    RateLimiter,
    bucket::{self, Bucket},
};
use kv_core::{Arg, Error, KvStoreExt, Reply, Result, Script, ScriptCall, TwinContext};

pub(crate) static REFUND: Script = Script::new("redis-ratelimit/refund", include_str!("../lua/refund.lua"), refund);

impl RateLimiter {
    /// Gives back so many units of each id, and never more than was taken; one that fails is not tried again. The room of each then. One
    /// round trip.
    pub(crate) async fn give_back(&self, returned: &[(&str, u64)]) -> Result<Vec<i64>> {
        let gcra = self.gcra()?;
        let keys = returned.iter().map(|(id, _)| self.key(id)).collect::<Result<Vec<_>>>()?;
        let keys: Vec<[&str; 1]> = keys.iter().map(|key| [key.as_str()]).collect();
        let of = |(_, units): &(&str, u64)| {
            let [capacity, rate, ttl] = [gcra.capacity, gcra.per_micro, gcra.ttl_millis()].map(Arg::Int);
            let cost = Arg::Int(gcra.cost(*units).min(gcra.capacity));
            [capacity, cost, rate, ttl, Arg::Bytes(b"")].into_iter().chain(gcra.beyond()).collect()
        };
        let args: Vec<Vec<Arg<'_>>> = returned.iter().map(of).collect();
        let calls: Vec<ScriptCall<'_>> = keys.iter().zip(&args).map(|(keys, args)| ScriptCall { keys, args }).collect();
        let replies = self.store().require_scripts(REFUND.name())?.run_many(&REFUND, &calls).await?;
        let room = |reply: Result<Reply>| Ok(gcra.room(reply?.into_int(REFUND.name())?));
        replies.into_iter().map(room).collect()
    }
}

fn refund(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[key], &[capacity, cost, rate, ttl, now, ref beyond @ ..]) = (keys, args) else {
        return Err(Error::wrong_arity());
    };
    let (capacity, cost, rate) = (capacity.to_int()?, cost.to_int()?, rate.to_int()?);
    let now = bucket::now(store, now)?;
    let level = Bucket::load(store, key, bucket::most(capacity, beyond)?, rate, now)?.level - cost;
    if level <= 0 {
        store.delete(key);
        return Ok(Reply::Int(capacity));
    }
    Bucket::store(store, key, level, rate, now, ttl.to_int()?);
    Ok(Reply::Int(capacity - level))
}
