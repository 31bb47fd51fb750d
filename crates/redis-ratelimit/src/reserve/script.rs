use crate::bucket::{self, Bucket};
use kv_core::{Arg, Error, Reply, Result, Script, TwinContext};

pub(crate) static RESERVE: Script =
    Script::new("redis-ratelimit/reserve", include_str!("../../lua/reserve.lua"), reserve);

pub(crate) static CANCEL: Script = Script::new("redis-ratelimit/cancel", include_str!("../../lua/cancel.lua"), cancel);

fn reserve(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[key], &[capacity, cost, rate, ttl, now, most, patience]) = (keys, args) else {
        return Err(Error::wrong_arity());
    };
    let (capacity, cost, rate, most) = (capacity.to_int()?, cost.to_int()?, rate.to_int()?, most.to_int()?);
    let now = bucket::now(store, now)?;
    let Bucket { level, clamped } = Bucket::load(store, key, most, rate, now)?;
    let room = capacity - level - cost;
    let admitted = room + patience.to_int()? >= 0;
    let level = if admitted { level + cost } else { level };
    if admitted || clamped {
        Bucket::store(store, key, level, rate, now, ttl.to_int()?);
    }
    Ok(Reply::Array(vec![Reply::Int(room), Reply::Int(if admitted { now + level / rate } else { 0 })]))
}

fn cancel(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[key], &[expected, cost, rate, ttl, now]) = (keys, args) else { return Err(Error::wrong_arity()) };
    if store.get(key)?.is_none_or(|held| *held != *expected.to_bytes()) {
        return Ok(Reply::Int(0));
    }
    let (cost, rate, now) = (cost.to_int()?, rate.to_int()?, bucket::now(store, now)?);
    let level = Bucket::load(store, key, i64::MAX, rate, now)?.level.saturating_sub(cost);
    if level <= 0 {
        store.delete(key);
    } else {
        Bucket::store(store, key, level, rate, now, ttl.to_int()?);
    }
    Ok(Reply::Int(1))
}
