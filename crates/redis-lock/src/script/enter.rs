use super::room::{Visit, weight};
use kv_core::{Arg, Error, ErrorKind, Reply, Result, TwinContext};

/// How long a waiter is thought to be there after its last look, in milliseconds.
const WAITER_TTL: i64 = 10_000;

pub(super) fn enter(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[room, fence, line], &[holder, lease, limit, ref waits @ ..]) = (keys, args) else {
        return Err(Error::wrong_arity());
    };
    let (lease, limit) = (lease.to_int()?, limit.to_int()?);
    let is_old = waits.get(1).is_some_and(|old| old.to_int().is_ok_and(|old| old == 1));
    let text = |arg: &Arg<'_>| String::from_utf8_lossy(&arg.to_bytes()).into_owned();
    let (holder, ticket) = (text(&holder), waits.first().map(text).unwrap_or_default());
    let Some(mut visit) = Visit::open(store, [room, fence, line]) else { return Ok(Reply::Int(0)) };
    let damaged = visit.fence.is_none();
    let damaged = damaged.then(|| Error::new(ErrorKind::Corrupt, "enter").with_detail("fencing counter is damaged"));
    let refused = visit.line().err().or(damaged);
    if let Some(error) = refused {
        visit.settle();
        return Err(error);
    }
    visit.let_in(&ticket);
    let inside = visit.room.members.contains_key(&*holder);
    let fits = visit.first().is_none() && visit.room.used + weight(&holder) <= limit;
    let answer = (inside || fits).then(|| visit.admit(&holder, lease));
    if answer.is_none() && !ticket.is_empty() && !visit.line_up(&ticket, is_old, WAITER_TTL) {
        visit.settle();
        return Ok(Reply::Nil);
    }
    let first_end = visit.room.members.values().min().map_or(0, |until| visit.now - 1 - until);
    visit.settle();
    Ok(Reply::Int(answer.unwrap_or(first_end)))
}
