use super::line::{Line, pop};
use kv_core::{Arg, Error, Reply, Result, TwinContext};
use std::collections::HashMap;

/// Who is inside and who waits, each until when: holders as `token:weight`, waiters as `token`.
#[derive(Default)]
pub(super) struct Room {
    pub(super) members: HashMap<Box<str>, i64>,
    pub(super) used: i64,
}

/// A room while a script is in it, which ends with [`settle`](Self::settle).
pub(super) struct Visit<'v, 'c> {
    store: &'v mut TwinContext<'c>,
    keys: [&'v str; 3],
    pub(super) now: i64,
    pub(super) room: Room,
    /// The last number; nothing if the counter is damaged.
    pub(super) fence: Option<i64>,
}

/// With a margin for a whole line, numbers stay exact.
const FENCES: std::ops::Range<i64> = 1..9_007_199_000_000_000;

/// What a holder or a waiter weighs.
pub(super) fn weight(member: &str) -> i64 {
    member.split_once(':').and_then(|(_, weight)| weight.parse().ok()).unwrap_or(0)
}

impl<'v, 'c> Visit<'v, 'c> {
    /// Nothing if the key is something else.
    pub(super) fn open(store: &'v mut TwinContext<'c>, keys: [&'v str; 3]) -> Option<Self> {
        let [room, counter, _] = keys;
        let now = store.now_micros().div_euclid(1000);
        let fence = match store.integer(counter) {
            Ok(None) => Some(store.now_micros()),
            Ok(last) => last.filter(|last| FENCES.contains(last)),
            Err(_) => None,
        };
        let room = store.state::<Room>(room).ok()?.map(std::mem::take).unwrap_or_default();
        Some(Self { store, keys, now, room, fence })
    }

    /// Those who wait, or that the key is something else.
    pub(super) fn line(&mut self) -> Result<Option<&mut Line>> {
        self.store.state(self.keys[2])
    }

    /// The first who waits.
    pub(super) fn first(&mut self) -> Option<Box<str>> {
        self.line().ok()??.front().cloned()
    }

    /// Puts a ticket at the end of the line, unless it is in it, or was; says whether it is.
    pub(super) fn line_up(&mut self, ticket: &str, is_old: bool, ttl: i64) -> bool {
        match self.line() {
            Ok(Some(line)) if line.iter().any(|known| **known == *ticket) => {}
            Err(_) => return false,
            Ok(_) if is_old => return false,
            Ok(Some(line)) => line.push_back(ticket.into()),
            Ok(None) => self.store.set_state(self.keys[2], Line::from([ticket.into()]), None),
        }
        self.store.pexpire(self.keys[2], ttl);
        self.room.members.insert(ticket.split(':').next().unwrap_or_default().into(), self.now + ttl);
        true
    }

    /// The number of the one who is inside from now on.
    pub(super) fn admit(&mut self, holder: &str, lease: i64) -> i64 {
        if self.room.members.insert(holder.into(), self.now + lease).is_none() {
            self.room.used += weight(holder);
        }
        let fence = self.fence.unwrap_or_default() + 1;
        self.fence = Some(fence);
        self.store.set(self.keys[1], fence.to_string(), None);
        fence
    }

    /// Whether it was inside, or in line, until now.
    pub(super) fn remove(&mut self, member: &str) -> bool {
        let deadline = self.room.members.remove(member);
        self.room.used -= deadline.map_or(0, |_| weight(member));
        deadline.is_some_and(|deadline| deadline >= self.now)
    }

    pub(super) fn leave_line(&mut self, ticket: &str) {
        self.remove(ticket.split(':').next().unwrap_or_default());
        let line = self.keys[2];
        if let Ok(Some(tickets)) = self.line() {
            tickets.retain(|known| **known != *ticket);
            if tickets.is_empty() {
                self.store.delete(line);
            }
        }
    }

    /// Lets go of those whose lease is over, and lets in those whose turn it is.
    pub(super) fn let_in(&mut self, ticket: &str) {
        let over: Vec<_> = self
            .room
            .members
            .iter()
            .filter(|(_, until)| **until < self.now)
            .map(|(member, _)| member.clone())
            .collect();
        for member in over {
            self.remove(&member);
        }
        while self.fence.is_some()
            && let Some(first) = self.first()
        {
            let next = Next::parse(&first).filter(|next| *first == *ticket || self.is_live(next));
            let fits = next.as_ref().is_some_and(|next| self.room.used + weight(next.holder) <= next.limit);
            if next.is_some() && !fits && self.room.used > 0 {
                return;
            }
            pop(self.store, self.keys[2]);
            self.room.members.remove(first.split(':').next().unwrap_or_default());
            if let Some(next) = next.filter(|_| fits) {
                let fence = self.admit(next.holder, next.claim);
                self.store.publish(next.channel, format!("{}:{fence}", next.holder));
            }
        }
    }

    fn is_live(&self, next: &Next<'_>) -> bool {
        let heard = !next.known || self.store.listeners(next.channel) > 0;
        heard && next.holder.split(':').next().is_some_and(|token| self.room.members.contains_key(token))
    }

    /// Leaves the room as it is now; an empty one is none.
    pub(super) fn settle(self) {
        match self.room.members.values().max() {
            None => drop(self.store.delete(self.keys[0])),
            Some(latest) => {
                let ttl = latest - self.now;
                self.store.set_state(self.keys[0], self.room, Some(ttl));
            }
        }
    }
}

/// The first in line: `token:weight:claim:limit:known:channel`.
struct Next<'a> {
    holder: &'a str,
    claim: i64,
    limit: i64,
    /// Whether the server knows everybody who listens to the channel.
    known: bool,
    channel: &'a str,
}

impl<'a> Next<'a> {
    fn parse(ticket: &'a str) -> Option<Self> {
        let holder = ticket.get(..ticket.match_indices(':').nth(1)?.0)?;
        let mut rest = ticket[holder.len() + 1..].splitn(4, ':');
        let (claim, limit) = (rest.next()?.parse().ok()?, rest.next()?.parse().ok()?);
        let (known, channel) = (rest.next()? == "1", rest.next()?);
        Some(Self { holder, claim, limit, known, channel })
    }
}

pub(super) fn stay(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[key], &[holder, lease]) = (keys, args) else { return Err(Error::wrong_arity()) };
    let (holder, lease) = (holder.to_bytes(), lease.to_int()?);
    let now = store.now_micros().div_euclid(1000);
    let Ok(room) = store.state::<Room>(key) else { return Ok(Reply::Int(-1)) };
    let until = room.and_then(|room| {
        let until = room.members.get_mut(&*String::from_utf8_lossy(&holder)).filter(|until| **until >= now)?;
        *until = now + lease;
        room.members.values().max().copied()
    });
    Ok(Reply::Int(until.map_or(0, |until| i64::from(store.pexpire(key, until - now)))))
}

pub(super) fn look(store: &mut TwinContext<'_>, keys: &[&str], _: &[Arg<'_>]) -> Result<Reply> {
    let &[key, line] = keys else { return Err(Error::wrong_arity()) };
    let now = store.now_micros().div_euclid(1000);
    let inside = |room: &mut Room| {
        room.members.iter().filter(|(_, until)| **until >= now).map(|(member, _)| weight(member)).sum()
    };
    let used = store.state::<Room>(key).map_or(-1, |room| room.map_or(0, inside));
    let waiting = store.state::<Line>(line).ok().flatten().map_or(0, |tickets| tickets.len());
    Ok(Reply::Array(vec![Reply::Int(used), Reply::Int(i64::try_from(waiting).unwrap_or(i64::MAX))]))
}
