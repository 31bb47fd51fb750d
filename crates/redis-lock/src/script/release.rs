use super::{
    Owner,
    line::{Line, Ticket, pop, reserve},
    owner,
};
use kv_core::{Arg, Error, Reply, Result, TwinContext};

pub(super) fn release(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[lock, fence, line], &[token, ticket, knows_listeners]) = (keys, args) else {
        return Err(Error::wrong_arity());
    };
    let (token, ticket, knows_listeners) = (token.to_bytes(), ticket.to_bytes(), knows_listeners.to_int()? == 1);
    let held = match owner(store, lock) {
        Owner::Nobody => None,
        Owner::Token(owner) => Some(token.is_empty() || owner == *token),
        Owner::Other => Some(token.is_empty()),
    };
    if held != Some(true) {
        leave(store, line, &ticket);
        return Ok(Reply::Int(if held.is_some() { -1 } else { 0 }));
    }
    while let Some(first) = pop(store, line) {
        if let Some(next) = Ticket::parse(&first).filter(|next| next.is_live(store, knows_listeners)) {
            match reserve(store, fence, next.reserve) {
                Some(last) => next.grant(store, lock, last),
                None => drop(store.delete(lock)),
            }
            return Ok(Reply::Int(1));
        }
    }
    store.delete(lock);
    Ok(Reply::Int(1))
}

fn leave(store: &mut TwinContext<'_>, line: &str, ticket: &[u8]) {
    if !ticket.is_empty()
        && let Ok(Some(tickets)) = store.state::<Line>(line)
    {
        tickets.retain(|known| known.as_bytes() != ticket);
        if tickets.is_empty() {
            store.delete(line);
        }
    }
}
