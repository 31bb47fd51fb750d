use crate::{entry::Entry, version::version};
use bytes::Bytes;
use kv_core::{Arg, Error, Reply, Result, Script, TwinContext};

pub(crate) static BEGIN: Script = Script::new("redis-cache/begin", include_str!("../lua/begin.lua"), begin);
pub(crate) static COMMIT: Script = Script::new("redis-cache/commit", include_str!("../lua/commit.lua"), commit);
pub(crate) static ABANDON: Script = Script::new("redis-cache/abandon", include_str!("../lua/abandon.lua"), abandon);
pub(crate) static KEEP: Script = Script::new("redis-cache/keep", include_str!("../lua/keep.lua"), keep);
pub(crate) static GENERATION: Script =
    Script::new("redis-cache/generation", include_str!("../lua/generation.lua"), generation);
pub(crate) static RENEW: Script = Script::new("redis-cache/renew", include_str!("../lua/renew.lua"), renew);
pub(crate) static HOLD: Script = Script::new("redis-cache/hold", include_str!("../lua/hold.lua"), hold);
pub(crate) static INVALIDATE: Script =
    Script::new("redis-cache/invalidate", include_str!("../lua/invalidate.lua"), invalidate);
pub(crate) static INSERT: Script = Script::new("redis-cache/insert", include_str!("../lua/insert.lua"), insert);

/// Every script of this crate, for those who audit, preload or compare them.
pub static SCRIPTS: [&Script; 9] = [&ABANDON, &BEGIN, &COMMIT, &GENERATION, &HOLD, &INSERT, &INVALIDATE, &KEEP, &RENEW];

/// How long the token of a load is.
pub(crate) const TOKEN: usize = 32;

/// Where the time stands in an entry.
const TIME: std::ops::Range<usize> = 16..24;

fn begin(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[entry, lease], &[token, ttl, seen, waits]) = (keys, args) else { return Err(Error::wrong_arity()) };
    let ttl = ttl.to_int()?;
    if let Some(entry) = store.get(entry)?
        && Entry::mark(&entry) != &*seen.to_bytes()
    {
        return Ok(Reply::Bytes(entry));
    }
    let Some(held) = store.get(lease)? else {
        store.set(lease, token.to_bytes().into_owned(), Some(ttl));
        return Ok(Reply::Int(millis(store)));
    };
    let rest = rest(store, lease, ttl);
    match held[..held.len().min(TOKEN + 1)].last() {
        Some(b'p') => return Ok(Reply::Int(0)),
        Some(b'w') => {}
        _ if waits.to_int()? == 1 => store.set(lease, [&*held, b"w"].concat(), Some(rest)),
        _ => {}
    }
    let holder = held.slice(..held.len().min(TOKEN));
    Ok(Reply::Array(vec![Reply::Int(rest), Reply::Bytes(holder)]))
}

/// How long a lease runs; one that would never end gets an end.
fn rest(store: &mut TwinContext<'_>, lease: &str, ttl: i64) -> i64 {
    if store.pttl(lease) < 0 {
        store.pexpire(lease, ttl);
    }
    store.pttl(lease)
}

fn hold(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[entry, lease], &[token, ttl, channel, message]) = (keys, args) else { return Err(Error::wrong_arity()) };
    let ttl = ttl.to_int()?;
    if let Some(held) = store.get(lease)?
        && held.contains(&b'u')
    {
        let rest = rest(store, lease, ttl);
        if held.last() != Some(&b'w') {
            store.set(lease, [&*held, b"w"].concat(), Some(rest));
        }
        return Ok(Reply::Int(-1 - rest));
    }
    store.set(lease, token.to_bytes().into_owned(), Some(ttl));
    store.delete(entry);
    publish(store, channel, &message.to_bytes())?;
    Ok(Reply::Int(millis(store)))
}

/// Whether the lease is this load's, and if so, whether somebody waits.
fn waited(store: &mut TwinContext<'_>, lease: &str, token: Arg<'_>) -> Result<Option<bool>> {
    let (held, token) = (store.get(lease)?.unwrap_or_default(), token.to_bytes());
    Ok(match held.strip_prefix(&*token) {
        Some(b"") => Some(false),
        Some(b"w") => Some(true),
        _ => None,
    })
}

fn commit(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[entry, lease], &[token, bytes, ttl, channel, message, most]) = (keys, args) else {
        return Err(Error::wrong_arity());
    };
    let Some(waited) = waited(store, lease, token)? else { return Ok(Reply::Int(0)) };
    let bytes = Bytes::from(bytes.to_bytes().into_owned());
    store.set(entry, bytes.clone(), Some(ttl.to_int()?));
    store.delete(lease);
    if waited {
        let rides = i64::try_from(bytes.len()).is_ok_and(|len| most.to_int().is_ok_and(|most| len <= most));
        publish(store, channel, &[&*message.to_bytes(), if rides { &bytes } else { b"" }].concat())?;
    }
    Ok(Reply::Int(1))
}

fn abandon(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[lease], &[token, pause, channel, message]) = (keys, args) else { return Err(Error::wrong_arity()) };
    let Some(waited) = waited(store, lease, token)? else { return Ok(Reply::Int(0)) };
    match pause.to_int()? {
        0 => drop(store.delete(lease)),
        pause => store.set(lease, [&*token.to_bytes(), b"p"].concat(), Some(pause)),
    }
    if waited {
        publish(store, channel, &message.to_bytes())?;
    }
    Ok(Reply::Int(1))
}

fn keep(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[lease], &[token, ttl]) = (keys, args) else { return Err(Error::wrong_arity()) };
    let ours = waited(store, lease, token)?.is_some();
    Ok(Reply::Int(i64::from(ours && store.pexpire(lease, ttl.to_int()?))))
}

fn invalidate(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[entry, lease], &[channel, message, pause]) = (keys, args) else { return Err(Error::wrong_arity()) };
    let gone = store.delete(entry);
    match pause.to_int()? {
        0 => drop(store.delete(lease)),
        pause => store.set(lease, "p", Some(pause)),
    }
    publish(store, channel, &message.to_bytes())?;
    Ok(Reply::Int(i64::from(gone)))
}

fn insert(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[entry, lease], &[bytes, ttl, channel, message]) = (keys, args) else { return Err(Error::wrong_arity()) };
    let (now, mut bytes) = (millis(store), bytes.to_bytes().into_owned());
    let time = bytes.get_mut(TIME).ok_or_else(|| Error::invalid_input("insert", "entry has no header"))?;
    time.copy_from_slice(&now.to_le_bytes());
    if let Some(new) = version(&bytes)
        && store.get(entry)?.as_deref().and_then(version).is_some_and(|old| old > new)
    {
        return Ok(Reply::Int(0));
    }
    store.set(entry, bytes, Some(ttl.to_int()?));
    store.delete(lease);
    publish(store, channel, &message.to_bytes())?;
    Ok(Reply::Int(now))
}

fn generation(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[tag], &[fresh, ttl]) = (keys, args) else { return Err(Error::wrong_arity()) };
    let ttl = ttl.to_int()?;
    let Some(generation) = store.get(tag)?.filter(|generation| generation.len() == 8) else {
        store.set(tag, fresh.to_bytes().into_owned(), Some(ttl));
        return Ok(Reply::Bytes(fresh.to_bytes().into_owned().into()));
    };
    if store.pttl(tag) < ttl {
        store.pexpire(tag, ttl);
    }
    Ok(Reply::Bytes(generation))
}

fn renew(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[tag], &[generation, ttl, channel, message]) = (keys, args) else { return Err(Error::wrong_arity()) };
    let ttl = ttl.to_int()?.max(store.pttl(tag));
    store.set(tag, generation.to_bytes().into_owned(), Some(ttl));
    publish(store, channel, &message.to_bytes())?;
    Ok(Reply::Int(1))
}

fn publish(store: &mut TwinContext<'_>, channel: Arg<'_>, message: &[u8]) -> Result<()> {
    let channel = channel.to_bytes();
    let channel = std::str::from_utf8(&channel).map_err(|_| Error::invalid_input("publish", "channel is no text"))?;
    store.publish(channel, message.to_vec());
    Ok(())
}

fn millis(store: &TwinContext<'_>) -> i64 {
    store.now_micros().div_euclid(1000)
}
