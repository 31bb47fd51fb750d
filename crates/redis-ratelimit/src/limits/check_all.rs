use crate::bucket::{self, Bucket};
use kv_core::{Arg, Error, Reply, Result, Script, TwinContext};

pub(crate) static CHECK_ALL: Script =
    Script::new("redis-ratelimit/check_all", include_str!("../../lua/check_all.lua"), check_all);

fn check_all(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let [now, limits @ ..] = args else { return Err(Error::wrong_arity()) };
    let now = bucket::now(store, *now)?;
    let (limits, rest) = limits.as_chunks::<4>();
    if limits.len() != keys.len() || !rest.is_empty() {
        return Err(Error::wrong_arity());
    }
    let mut buckets = Vec::with_capacity(keys.len());
    let mut admitted = true;
    for (key, limit) in keys.iter().zip(limits) {
        let [capacity, cost, rate, ttl] =
            [limit[0].to_int()?, limit[1].to_int()?, limit[2].to_int()?, limit[3].to_int()?];
        let Bucket { level, clamped } = Bucket::load(store, key, capacity, rate, now)?;
        admitted &= capacity - level >= cost;
        buckets.push((capacity, cost, rate, ttl, level, clamped));
    }
    let mut rooms = Vec::with_capacity(keys.len());
    for (key, (capacity, cost, rate, ttl, level, clamped)) in keys.iter().zip(buckets) {
        rooms.push(Reply::Int(capacity - level));
        // A bucket that was more than full is written back whatever becomes of the request, so that it empties from now.
        if cost > 0 && (clamped || admitted) {
            Bucket::store(store, key, level + if admitted { cost } else { 0 }, rate, now, ttl);
        }
    }
    Ok(Reply::Array(rooms))
}
