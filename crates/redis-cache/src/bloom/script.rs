use bytes::{Bytes, BytesMut};
use kv_core::{Arg, Error, Reply, Result, Script, TwinContext};

pub(super) static BEGIN: Script =
    Script::new("redis-cache/bloom_begin", include_str!("../../lua/bloom_begin.lua"), begin);
pub(super) static INSERT: Script =
    Script::new("redis-cache/bloom_insert", include_str!("../../lua/bloom_insert.lua"), insert);
pub(super) static COMMIT: Script =
    Script::new("redis-cache/bloom_commit", include_str!("../../lua/bloom_commit.lua"), commit);

/// The scripts of the [`BloomGuard`](crate::BloomGuard), for those who audit, preload or compare them.
pub static BLOOM_SCRIPTS: [&Script; 3] = [&BEGIN, &INSERT, &COMMIT];

fn begin(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[page], &[size, head, ttl]) = (keys, args) else { return Err(Error::wrong_arity()) };
    let mut bytes = head.to_bytes().into_owned();
    bytes.resize(bytes.len().max(size_of(size)?), 0);
    store.set(page, bytes, Some(ttl.to_int()?));
    Ok(Reply::Int(1))
}

fn insert(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[page, next], &[size, rebuild, ttl, ref bits @ ..]) = (keys, args) else { return Err(Error::wrong_arity()) };
    let (size, ttl, rebuild) = (size_of(size)?, ttl.to_int()?, rebuild.to_bytes());
    let bits = bits.iter().map(|bit| size_of(*bit)).collect::<Result<Vec<_>>>()?;
    let mut written = 0;
    if rebuild.is_empty() && store.get(page)?.is_some_and(|bytes| bytes.len() == size) {
        change(store, page, |bytes| {
            set_bits(bytes, &bits);
            count_change(bytes);
        })?;
        store.pexpire(page, ttl);
        written = 1;
    }
    let fits = |bytes: Bytes| bytes.len() == size && (rebuild.is_empty() || owner(&bytes) == &*rebuild);
    if store.get(next)?.is_some_and(fits) {
        change(store, next, |bytes| set_bits(bytes, &bits))?;
        if !rebuild.is_empty() {
            store.pexpire(next, ttl);
        }
        written += 2;
    }
    Ok(Reply::Int(written))
}

fn commit(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let &[size, rebuild, ttl] = args else { return Err(Error::wrong_arity()) };
    let (size, rebuild, ttl) = (size_of(size)?, rebuild.to_bytes(), ttl.to_int()?);
    let (pages, next) = keys.split_at(keys.len() / 2);
    for page in next {
        let bytes = store.get(page)?.unwrap_or_default();
        if bytes.len() != size || owner(&bytes) != &*rebuild {
            return Ok(Reply::Int(0));
        }
    }
    for (page, next) in pages.iter().zip(next) {
        if let Some(bytes) = store.get(next)? {
            store.set(page, bytes, Some(ttl));
            store.delete(next);
        }
    }
    Ok(Reply::Int(1))
}

fn size_of(arg: Arg<'_>) -> Result<usize> {
    usize::try_from(arg.to_int()?).map_err(|_| Error::invalid_input("script", "argument is negative"))
}

/// The rebuild that a page belongs to.
fn owner(bytes: &[u8]) -> &[u8] {
    let end = bytes.len().min(24);
    &bytes[end.min(8)..end]
}

/// Changes bytes where they lie, unless somebody reads them just now.
fn change(store: &mut TwinContext<'_>, key: &str, change: impl FnOnce(&mut [u8])) -> Result<()> {
    let ttl = store.pttl(key);
    let Some(bytes) = store.get(key)? else { return Ok(()) };
    store.delete(key);
    let mut bytes = bytes.try_into_mut().unwrap_or_else(|bytes| BytesMut::from(&bytes[..]));
    change(&mut bytes);
    store.set(key, bytes, (ttl >= 0).then_some(ttl));
    Ok(())
}

/// Bits beyond the page make a string longer on a server; nobody sends any.
fn set_bits(bytes: &mut [u8], bits: &[usize]) {
    for bit in bits {
        if let Some(byte) = bytes.get_mut(bit / 8) {
            *byte |= 0x80 >> (bit % 8);
        }
    }
}

fn count_change(bytes: &mut [u8]) {
    if let Some(count) = bytes.get_mut(24..32) {
        for byte in count.iter_mut().rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                break;
            }
        }
    }
}
