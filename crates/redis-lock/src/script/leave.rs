use super::room::Visit;
use kv_core::{Arg, Error, Reply, Result, TwinContext};

pub(super) fn leave(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[room, fence, line], &[holder, ref ticket @ ..]) = (keys, args) else {
        return Err(Error::wrong_arity());
    };
    let (holder, ticket) = (holder.to_bytes(), ticket.first().map(|ticket| ticket.to_bytes()).unwrap_or_default());
    let Some(mut visit) = Visit::open(store, [room, fence, line]) else { return Ok(Reply::Int(-1)) };
    let inside = visit.remove(&String::from_utf8_lossy(&holder));
    if !ticket.is_empty() {
        visit.leave_line(&String::from_utf8_lossy(&ticket));
    }
    visit.let_in("");
    visit.settle();
    Ok(Reply::Int(i64::from(inside)))
}
