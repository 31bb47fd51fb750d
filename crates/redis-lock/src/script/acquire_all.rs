use super::fence;
use kv_core::{Arg, Error, ErrorKind, Reply, Result, TwinContext};

pub(super) fn acquire_all(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let [lease, tokens @ ..] = args else { return Err(Error::wrong_arity()) };
    let lease = lease.to_int()?;
    let (locks, rest) = keys.as_chunks::<3>();
    if locks.len() != tokens.len() || !rest.is_empty() {
        return Err(Error::wrong_arity());
    }
    if locks.iter().any(|[lock, _, line]| store.exists(lock) || store.exists(line)) {
        return Ok(Reply::Nil);
    }
    let mut fences = Vec::with_capacity(locks.len());
    for [_, counter, _] in locks {
        let damaged = || Error::new(ErrorKind::Corrupt, "acquire_all").with_detail("fencing counter is damaged");
        let (last, _) = fence::reserve(store, counter, 1).ok_or_else(damaged)?;
        let last = if last == 1 { store.now_micros() + 1 } else { last };
        fence::set(store, counter, last, false);
        fences.push(Reply::Int(last));
    }
    for ([lock, ..], token) in locks.iter().zip(tokens) {
        store.set(lock, token.to_bytes().into_owned(), Some(lease));
    }
    Ok(Reply::Array(fences))
}
