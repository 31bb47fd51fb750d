use super::{
    MAX_FENCE, Owner,
    line::{Line, Ticket, pop, reserve},
    owner,
};
use kv_core::{Arg, Error, ErrorKind, Reply, Result, TwinContext};

/// How long a line outlives the last who joined it, in milliseconds.
const LINE_TTL: i64 = 30_000;

pub(super) fn acquire(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[lock, fence, line], &[token, lease, count, ticket, knows_listeners, is_old]) = (keys, args) else {
        return Err(Error::wrong_arity());
    };
    let (lease, count, knows_listeners) = (lease.to_int()?, count.to_int()?, knows_listeners.to_int()? == 1);
    let ticket = String::from_utf8_lossy(&ticket.to_bytes()).into_owned();
    let damaged = || Error::new(ErrorKind::Corrupt, "acquire").with_detail("fencing counter is damaged");
    if !store.exists(lock) {
        let first = loop {
            match pop(store, line) {
                Some(first) if *first != *ticket => {
                    if Ticket::parse(&first).is_some_and(|other| other.is_live(store, knows_listeners)) {
                        break Some(first);
                    }
                }
                _ => break None,
            }
        };
        let other = first.as_deref().and_then(Ticket::parse);
        let last = reserve(store, fence, other.as_ref().map_or(count, |other| other.reserve)).ok_or_else(damaged)?;
        let Some(other) = other else {
            store.set(lock, token.to_bytes().into_owned(), Some(lease));
            return Ok(Reply::Int(last));
        };
        other.grant(store, lock, last);
    }
    if let Owner::Token(owner) = owner(store, lock)
        && owner == *token.to_bytes()
    {
        store.pexpire(lock, lease);
        let last = store.integer(fence).ok().flatten().filter(|last| (1..MAX_FENCE).contains(last));
        return last.map(Reply::Int).ok_or_else(damaged);
    }
    if !ticket.is_empty() {
        match store.state::<Line>(line)? {
            Some(tickets) if tickets.iter().any(|known| **known == *ticket) => {}
            _ if is_old.to_int()? == 1 => return Ok(Reply::Nil),
            Some(tickets) => tickets.push_back(ticket.into()),
            None => store.set_state(line, Line::from([ticket.into()]), None),
        }
        store.pexpire(line, LINE_TTL);
    }
    let remaining = store.pttl(lock);
    Ok(Reply::Int(if remaining < 0 { 0 } else { -1 - remaining }))
}
