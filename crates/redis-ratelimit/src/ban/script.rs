use super::record::Record;
use crate::bucket::{self, Bucket};
use kv_core::{Arg, Error, Reply, Result, Script, TwinContext};

pub(crate) static BAN: Script = Script::new("redis-ratelimit/ban", include_str!("../../lua/ban.lua"), ban);

pub(crate) static CHECK_BANNED: Script =
    Script::new("redis-ratelimit/check_banned", include_str!("../../lua/check_banned.lua"), check_banned);

fn ban(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[key], &[length, forget_after, now]) = (keys, args) else { return Err(Error::wrong_arity()) };
    let (length, forget_after, now) = (length.to_int()?, forget_after.to_int()?, bucket::now(store, now)?);
    let record = Record { denials: 0, last: length, ends: now + length };
    record.store(store, key, forget_after, now);
    Ok(Reply::Int(record.ends))
}

fn check_banned(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[key, ban], &[capacity, cost, least, rate, ttl, now, after, base, factor, longest, forget_after]) =
        (keys, args)
    else {
        return Err(Error::wrong_arity());
    };
    let (capacity, cost, least, rate) = (capacity.to_int()?, cost.to_int()?, least.to_int()?, rate.to_int()?);
    let (forget_after, now) = (forget_after.to_int()?, bucket::now(store, now)?);
    // Both are read before either is judged.
    store.get(key)?;
    let held = store.get(ban)?;
    let Bucket { level, clamped } = Bucket::load(store, key, capacity, rate, now)?;
    let room = capacity - level;
    let mut record = Record::parse(held.as_deref())?;
    if record.ends - now > record.last {
        // The clock went back: it ends as long from now as it would have from its beginning.
        record.ends = now + record.last;
        record.store(store, ban, forget_after, now);
    }
    if record.ends > now {
        return Ok(Reply::Array(vec![Reply::Int(room), Reply::Int(record.ends - now)]));
    }
    if now >= record.ends + forget_after {
        record.last = 0;
    }
    let taken = if cost > 0 && room >= least { cost.min(room - room % least) } else { 0 };
    if taken > 0 || (clamped && cost > 0) {
        Bucket::store(store, key, level + taken, rate, now, ttl.to_int()?);
    }
    let after = after.to_int()?;
    if taken > 0 && record.denials > 0 {
        record.denials = 0;
        record.store(store, ban, forget_after, now);
    } else if taken == 0 && cost > 0 && after > 0 {
        record.denials += 1;
        let bans = record.denials >= after;
        if bans {
            let longer = record.last.saturating_mul(factor.to_int()?).min(longest.to_int()?);
            let last = if record.last > 0 { longer } else { base.to_int()? };
            record = Record { denials: 0, last, ends: now + last };
        }
        record.store(store, ban, forget_after, now);
        if bans {
            return Ok(Reply::Array(vec![Reply::Int(room), Reply::Int(record.last)]));
        }
    }
    Ok(Reply::Int(room))
}
