mod acquire;
mod acquire_all;
mod enter;
mod fence;
mod inspect;
mod leave;
mod line;
mod release;
mod room;

use crate::{keys::Kind, quorum::QUORUM_RELEASE};
use kv_core::{Arg, Error, Reply, Result, Script, TwinContext};

pub(crate) static ACQUIRE: Script =
    Script::new("redis-lock/acquire", include_str!("../lua/acquire.lua"), acquire::acquire);
pub(crate) static ACQUIRE_ALL: Script =
    Script::new("redis-lock/acquire_all", include_str!("../lua/acquire_all.lua"), acquire_all::acquire_all);
pub(crate) static EXTEND: Script = Script::new("redis-lock/extend", include_str!("../lua/extend.lua"), extend);
pub(crate) static INSPECT: Script =
    Script::new("redis-lock/inspect", include_str!("../lua/inspect.lua"), inspect::inspect);
pub(crate) static RELEASE: Script =
    Script::new("redis-lock/release", include_str!("../lua/release.lua"), release::release);
pub(crate) static ENTER: Script = Script::new(
    "redis-lock/enter",
    concat!(include_str!("../lua/room.lua"), include_str!("../lua/enter.lua")),
    enter::enter,
);
pub(crate) static LEAVE: Script = Script::new(
    "redis-lock/leave",
    concat!(include_str!("../lua/room.lua"), include_str!("../lua/leave.lua")),
    leave::leave,
);
pub(crate) static LOOK: Script = Script::new("redis-lock/look", include_str!("../lua/look.lua"), room::look);
pub(crate) static STAY: Script = Script::new("redis-lock/stay", include_str!("../lua/stay.lua"), room::stay);

impl Kind {
    /// Sets a lease: takes the key, the token and the milliseconds.
    pub(crate) fn extend(self) -> &'static Script {
        match self {
            Self::Lock => &EXTEND,
            Self::Room => &STAY,
        }
    }

    /// Gives back: takes all keys, the token, and perhaps a ticket.
    pub(crate) fn release(self) -> &'static Script {
        match self {
            Self::Lock => &RELEASE,
            Self::Room => &LEAVE,
        }
    }
}

/// Every script of this crate, for those who audit, preload or compare them.
pub static SCRIPTS: [&Script; 10] =
    [&ACQUIRE, &ACQUIRE_ALL, &ENTER, &EXTEND, &INSPECT, &LEAVE, &LOOK, &QUORUM_RELEASE, &RELEASE, &STAY];

fn extend(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let (&[lock], &[token, lease]) = (keys, args) else { return Err(Error::wrong_arity()) };
    let lease = lease.to_int()?;
    Ok(Reply::Int(match owner(store, lock) {
        owner if owner.is(&token.to_bytes()) => i64::from(store.pexpire(lock, lease)),
        Owner::Nobody => 0,
        Owner::Token(_) | Owner::Other => -1,
    }))
}

/// What a lock's key holds.
enum Owner {
    Nobody,
    Token(bytes::Bytes),
    /// Something that is no string.
    Other,
}

impl Owner {
    /// Whether it is this token, with or without the mark of a line behind it.
    fn is(&self, token: &[u8]) -> bool {
        matches!(self, Self::Token(owner) if owner.strip_suffix(b"*").unwrap_or(owner) == token)
    }
}

fn owner(store: &mut TwinContext<'_>, lock: &str) -> Owner {
    match store.get(lock) {
        Ok(None) => Owner::Nobody,
        Ok(Some(token)) => Owner::Token(token),
        Err(_) => Owner::Other,
    }
}
