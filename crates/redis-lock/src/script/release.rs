use super::{
    Owner, fence,
    line::{Line, Ticket, pop},
    owner,
};
use kv_core::{Arg, Error, Reply, Result, TwinContext};

pub(super) fn release(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[lock, counter, line], &[token, ref ticket @ ..]) = (keys, args) else {
        return Err(Error::wrong_arity());
    };
    let token = token.to_bytes();
    let owner = owner(store, lock);
    if matches!(&owner, Owner::Token(owner) if !token.is_empty() && *owner == *token) {
        return Ok(Reply::Int(i64::from(store.delete(lock))));
    }
    let held = !matches!(owner, Owner::Nobody);
    if !(owner.is(&token) || held && token.is_empty()) {
        if let Some(ticket) = ticket.first() {
            leave(store, line, &ticket.to_bytes());
        }
        return Ok(Reply::Int(if held { -1 } else { 0 }));
    }
    while let Some(first) = pop(store, line) {
        if let Some(next) = Ticket::parse(&first).filter(|next| next.is_live(store)) {
            match fence::reserve(store, counter, next.reserve) {
                Some((mut last, _)) => {
                    if last == next.reserve {
                        last = store.now_micros() + next.reserve;
                        fence::set(store, counter, last, true);
                    }
                    next.grant(store, lock, last);
                }
                None => drop(store.delete(lock)),
            }
            return Ok(Reply::Int(1));
        }
    }
    store.delete(lock);
    fence::clear(store, counter);
    Ok(Reply::Int(1))
}

fn leave(store: &mut TwinContext<'_>, line: &str, ticket: &[u8]) {
    if let Ok(Some(tickets)) = store.state::<Line>(line) {
        tickets.retain(|known| known.as_bytes() != ticket);
        if tickets.is_empty() {
            store.delete(line);
        }
    }
}
