use kv_core::{Arg, Error, Reply, Result, Script, TwinContext};

pub(crate) static BEGIN: Script = Script::new("redis-cache/begin", include_str!("../lua/begin.lua"), begin);
pub(crate) static COMMIT: Script = Script::new("redis-cache/commit", include_str!("../lua/commit.lua"), commit);
pub(crate) static ABANDON: Script = Script::new("redis-cache/abandon", include_str!("../lua/abandon.lua"), abandon);

/// Every script of this crate, for those who audit, preload or compare them.
pub static SCRIPTS: [&Script; 3] = [&BEGIN, &COMMIT, &ABANDON];

fn begin(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[value, load], &[token, lease, hand_over]) = (keys, args) else { return Err(Error::wrong_arity()) };
    if hand_over.to_int()? == 1
        && let Some(value) = store.get(value)?
    {
        return Ok(Reply::Bytes(value));
    }
    if store.exists(load) {
        return Ok(Reply::Int(0));
    }
    store.set(load, token.to_bytes().into_owned(), Some(lease.to_int()?));
    Ok(Reply::Int(1))
}

fn commit(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[value, load], &[token, bytes, ttl]) = (keys, args) else { return Err(Error::wrong_arity()) };
    if store.get(load)?.as_deref() != Some(&*token.to_bytes()) {
        return Ok(Reply::Int(0));
    }
    store.set(value, bytes.to_bytes().into_owned(), Some(ttl.to_int()?));
    store.delete(load);
    Ok(Reply::Int(1))
}

fn abandon(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[load], &[token]) = (keys, args) else { return Err(Error::wrong_arity()) };
    if store.get(load)?.as_deref() != Some(&*token.to_bytes()) {
        return Ok(Reply::Int(0));
    }
    Ok(Reply::Int(i64::from(store.delete(load))))
}
