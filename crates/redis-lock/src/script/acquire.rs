use super::{
    Owner, fence,
    line::{Line, Ticket, pop},
    owner,
};
use kv_core::{Arg, Error, ErrorKind, Reply, Result, TwinContext};

/// How long a line outlives the last who joined it, in milliseconds.
const LINE_TTL: i64 = 30_000;

pub(super) fn acquire(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[lock, counter, ref line @ ..], &[token, lease, ref rest @ ..]) = (keys, args) else {
        return Err(Error::wrong_arity());
    };
    let line = line.first().copied();
    let (count, waits) = rest.split_first().map_or((&Arg::Int(1), rest), |(count, waits)| (count, waits));
    let (lease, count) = (lease.to_int()?, count.to_int()?);
    let ticket = waits.first().map(|ticket| String::from_utf8_lossy(&ticket.to_bytes()).into_owned());
    let damaged = || Error::new(ErrorKind::Corrupt, "acquire").with_detail("fencing counter is damaged");
    if !store.exists(lock) {
        let (mut last, waiting) = fence::reserve(store, counter, count).ok_or_else(damaged)?;
        if !waiting && last > count {
            store.set(lock, token.to_bytes().into_owned(), Some(lease));
            return Ok(Reply::Int(last));
        }
        if waiting && line.is_none() {
            return Ok(Reply::Nil);
        }
        let first = loop {
            match line.and_then(|line| pop(store, line)) {
                Some(first) if Some(&*first) != ticket.as_deref() => {
                    if Ticket::parse(&first).is_some_and(|other| other.is_live(store)) {
                        break Some(first);
                    }
                }
                _ => break None,
            }
        };
        if last == count {
            last = store.now_micros() + count;
        }
        let other = first.as_deref().and_then(Ticket::parse);
        last = last - count + other.as_ref().map_or(count, |other| other.reserve);
        let others = line.is_some_and(|line| store.exists(line));
        fence::set(store, counter, last, others);
        let Some(other) = other else {
            let mark: &[u8] = if others { b"*" } else { b"" };
            store.set(lock, [&*token.to_bytes(), mark].concat(), Some(lease));
            return Ok(Reply::Int(last));
        };
        other.grant(store, lock, last);
    }
    let owner = owner(store, lock);
    if owner.is(&token.to_bytes()) {
        store.pexpire(lock, lease);
        return fence::last(store, counter).map(Reply::Int).ok_or_else(damaged);
    }
    if let (Some(ticket), Some(line)) = (ticket, line) {
        match store.state::<Line>(line)? {
            Some(tickets) if tickets.iter().any(|known| **known == *ticket) => {}
            _ if waits.get(1).is_some_and(|old| old.to_int().is_ok_and(|old| old == 1)) => return Ok(Reply::Nil),
            Some(tickets) => tickets.push_back(ticket.into()),
            None => {
                store.set_state(line, Line::from([ticket.into()]), None);
                fence::mark(store, counter);
            }
        }
        if let Owner::Token(token) = owner
            && is_unmarked(&token)
        {
            let left = store.pttl(lock);
            store.set(lock, [&*token, b"*"].concat(), (left >= 0).then_some(left));
        }
        store.pexpire(line, LINE_TTL);
    }
    let remaining = store.pttl(lock);
    Ok(Reply::Int(if remaining < 0 { 0 } else { -1 - remaining }))
}

/// A token of ours, which nobody else compares, without a mark.
fn is_unmarked(token: &[u8]) -> bool {
    let hex = token.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    hex > 0 && token.get(hex) == Some(&b'/') && !token.contains(&b'*')
}
