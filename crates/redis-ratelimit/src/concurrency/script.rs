use kv_core::{Arg, Error, Reply, Result, Script, TwinContext};
use std::collections::HashMap;

pub(crate) static ENTER: Script = Script::new("redis-ratelimit/enter", include_str!("../../lua/enter.lua"), enter);
pub(crate) static STAY: Script = Script::new("redis-ratelimit/stay", include_str!("../../lua/stay.lua"), stay);
pub(crate) static LEAVE: Script = Script::new("redis-ratelimit/leave", include_str!("../../lua/leave.lua"), leave);

/// Holders, `token:count` each, until when in milliseconds.
#[derive(Default)]
struct Slots(HashMap<Box<str>, i64>);

impl Slots {
    fn used(&self) -> i64 {
        self.0.keys().map(|holder| count(holder)).sum()
    }

    fn latest(&self) -> i64 {
        self.0.values().copied().max().unwrap_or_default()
    }
}

fn count(holder: &str) -> i64 {
    holder.rsplit_once(':').and_then(|(_, count)| count.parse().ok()).unwrap_or_default()
}

fn text(arg: &Arg<'_>) -> Box<str> {
    String::from_utf8_lossy(&arg.to_bytes()).into()
}

fn now(store: &TwinContext<'_>) -> i64 {
    store.now_micros().div_euclid(1000)
}

fn enter(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[key], &[holder, lease, limit]) = (keys, args) else { return Err(Error::wrong_arity()) };
    let (holder, lease, limit, now) = (text(&holder), lease.to_int()?, limit.to_int()?, now(store));
    let mut slots = store.state::<Slots>(key)?.map(std::mem::take).unwrap_or_default();
    let before = slots.0.len();
    slots.0.retain(|_, until| *until > now);
    // Whoever asks again is not two.
    let (wanted, again) = (count(&holder), slots.0.contains_key(&holder));
    let free = limit - slots.used() + if again { wanted } else { 0 };
    let admitted = wanted <= free;
    let reply = if admitted {
        slots.0.insert(holder, now + lease);
        Reply::Int(free - wanted)
    } else {
        let next = slots.0.values().min().map_or(0, |until| until - now);
        Reply::Array(vec![Reply::Int(free.max(0)), Reply::Int(next)])
    };
    if admitted || slots.0.len() < before {
        settle(store, key, slots, now);
    } else if let Some(unchanged) = store.state(key)? {
        *unchanged = slots;
    }
    Ok(reply)
}

fn stay(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[key], &[holder, lease]) = (keys, args) else { return Err(Error::wrong_arity()) };
    let (holder, lease, now) = (text(&holder), lease.to_int()?, now(store));
    let Some(slots) = store.state::<Slots>(key)? else { return Ok(Reply::Int(0)) };
    let Some(until) = slots.0.get_mut(&holder).filter(|until| **until > now) else { return Ok(Reply::Int(0)) };
    *until = now + lease;
    let latest = slots.latest();
    store.pexpire(key, latest - now);
    Ok(Reply::Int(1))
}

fn leave(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[key], &[holder]) = (keys, args) else { return Err(Error::wrong_arity()) };
    let (holder, now) = (text(&holder), now(store));
    let Some(slots) = store.state::<Slots>(key)? else { return Ok(Reply::Int(0)) };
    let Some(until) = slots.0.remove(&holder) else { return Ok(Reply::Int(0)) };
    if slots.0.is_empty() {
        store.delete(key);
    }
    Ok(Reply::Int(i64::from(until > now)))
}

/// Leaves the slots as they are now; where nobody is left there are none.
fn settle(store: &mut TwinContext<'_>, key: &str, slots: Slots, now: i64) {
    if slots.0.is_empty() {
        store.delete(key);
    } else {
        let left = slots.latest() - now;
        store.set_state(key, slots, Some(left));
    }
}
