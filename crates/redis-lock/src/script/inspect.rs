use super::{Owner, line::Line, owner};
use kv_core::{Arg, Error, Reply, Result, TwinContext};

pub(super) fn inspect(store: &mut TwinContext<'_>, keys: &[&str], _: &[Arg<'_>]) -> Result<Reply> {
    let &[lock, fence, line] = keys else { return Err(Error::wrong_arity()) };
    let owner = match owner(store, lock) {
        Owner::Nobody => Reply::Nil,
        Owner::Token(token) => Reply::Bytes(token),
        Owner::Other => Reply::Bytes(bytes::Bytes::new()),
    };
    let waiting = store.state::<Line>(line).ok().flatten().map_or(0, |tickets| tickets.len());
    let fence = store.get(fence).ok().flatten().map_or(Reply::Nil, Reply::Bytes);
    let waiting = i64::try_from(waiting).unwrap_or(i64::MAX);
    Ok(Reply::Array(vec![owner, Reply::Int(store.pttl(lock)), Reply::Int(waiting), fence]))
}
