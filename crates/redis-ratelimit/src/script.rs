use crate::{
    ban::{BAN, CHECK_BANNED},
    bucket::{self, Bucket},
    check_many::CHECK_MANY,
    concurrency::{ENTER, LEAVE, STAY},
    limits::CHECK_ALL,
    refund::REFUND,
    reserve::{CANCEL, RESERVE},
    window::{FIXED, LOG, REFILL, SLIDING},
};
use kv_core::{Arg, Error, Reply, Result, Script, TwinContext};

pub(crate) static CHECK: Script = Script::new("redis-ratelimit/check", include_str!("../lua/check.lua"), check);

/// Every script of this crate, for those who audit, preload or compare them.
pub static SCRIPTS: [&Script; 15] = [
    &BAN,
    &CANCEL,
    &CHECK,
    &CHECK_ALL,
    &CHECK_BANNED,
    &CHECK_MANY,
    &ENTER,
    &FIXED,
    &LEAVE,
    &LOG,
    &REFILL,
    &REFUND,
    &RESERVE,
    &SLIDING,
    &STAY,
];

fn check(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[key], &[capacity, cost, rate, ttl, now, ref beyond @ ..]) = (keys, args) else {
        return Err(Error::wrong_arity());
    };
    let (capacity, cost, rate, now) = (capacity.to_int()?, cost.to_int()?, rate.to_int()?, bucket::now(store, now)?);
    let most = bucket::most(capacity, beyond)?;
    let Bucket { level, clamped } = Bucket::load(store, key, most, rate, now)?;
    let room = capacity - level - cost;
    if cost > 0 && (room >= 0 || clamped) {
        Bucket::store(store, key, if room >= 0 { level + cost } else { level }, rate, now, ttl.to_int()?);
    }
    Ok(Reply::Int(room))
}
