use kv_core::{Arg, Error, ErrorKind, Reply, Result, Script, TwinContext};

pub(crate) static ACQUIRE: Script = Script::new("redis-lock/acquire", include_str!("../lua/acquire.lua"), acquire);
pub(crate) static EXTEND: Script = Script::new("redis-lock/extend", include_str!("../lua/extend.lua"), extend);
pub(crate) static RELEASE: Script = Script::new("redis-lock/release", include_str!("../lua/release.lua"), release);

/// Every script of this crate, for those who audit, preload or compare them.
pub static SCRIPTS: [&Script; 3] = [&ACQUIRE, &EXTEND, &RELEASE];

/// Fencing tokens stay exact in Lua's numbers.
const MAX_FENCE: i64 = 1 << 53;

fn acquire(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[lock, fence], &[token, lease]) = (keys, args) else { return Err(Error::wrong_arity()) };
    if store.exists(lock) {
        let remaining = store.pttl(lock);
        return Ok(Reply::Int(if remaining < 0 { 0 } else { -1 - remaining }));
    }
    match store.incr_by(fence, 1) {
        Ok(next) if (1..MAX_FENCE).contains(&next) => {
            store.set(lock, token.to_bytes().into_owned(), Some(lease.to_int()?));
            Ok(Reply::Int(next))
        }
        _ => Err(Error::new(ErrorKind::Corrupt, "acquire").with_detail("fencing counter is damaged")),
    }
}

fn extend(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[lock], &[token, lease]) = (keys, args) else { return Err(Error::wrong_arity()) };
    let lease = lease.to_int()?;
    Ok(Reply::Int(if_owner(store, lock, token, |store| store.pexpire(lock, lease))))
}

fn release(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[lock], &[token]) = (keys, args) else { return Err(Error::wrong_arity()) };
    Ok(Reply::Int(if_owner(store, lock, token, |store| store.delete(lock))))
}

fn if_owner<'a>(
    store: &mut TwinContext<'a>,
    lock: &str,
    token: Arg<'_>,
    then: impl FnOnce(&mut TwinContext<'a>) -> bool,
) -> i64 {
    match store.get(lock) {
        Ok(Some(owner)) if *owner == *token.to_bytes() => i64::from(then(store)),
        Ok(None) => 0,
        // Another's token, or something that is no lock of ours at all.
        Ok(Some(_)) | Err(_) => -1,
    }
}
