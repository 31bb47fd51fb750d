//! Caches: no read returns a value that was invalidated before the read began, but for what is kept near, as long as it may take to
//! hear of it, and for what a failover undoes, as long as an entry lives; nobody hangs; no key is without an end, and no right to
//! load is left.

mod event;
mod history;
mod play;
mod report;
mod rows;
mod task;

pub(crate) use play::play;
pub(crate) use task::work;

use crate::dice::Dice;
use redis_cache::{CacheOptions, NearOptions};
use std::time::Duration;

const PREFIX: &str = "torture";
/// Those of the first are written so often that loads meet it, the others so seldom that what is not heard is not made up for.
const KEYS: u8 = 30;
const HOT: u8 = 3;
/// Longer than it may take to hear of a change.
const TTL: Duration = Duration::from_secs(4);
const STALE: Duration = Duration::from_millis(500);
const LEASE: Duration = Duration::from_millis(400);
const LOAD_TIMEOUT: Duration = Duration::from_secs(2);
/// A read that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(8);

fn options() -> CacheOptions {
    CacheOptions::default()
        .prefix(PREFIX)
        .ttl(TTL)
        .ttl_jitter(0.8)
        .stale_while_revalidate(STALE)
        .stale_if_error(STALE)
        .lease(LEASE)
        .load_timeout(LOAD_TIMEOUT)
        .budget(Duration::from_millis(300))
}

/// One of the keys, those that are hot as often as all others.
fn key(dice: &mut Dice) -> u8 {
    let keys = if dice.one_in(2) { HOT } else { KEYS };
    dice.below(keys.into()) as u8
}

/// What a process reads by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Store,
    Near,
    /// Near, and told by the server.
    Tracked,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Store, Self::Near, Self::Tracked];

    fn options(self) -> CacheOptions {
        match self {
            Self::Store => options(),
            Self::Near => options().near(NearOptions::default()),
            Self::Tracked => options().near(NearOptions::default().tracking(true)),
        }
    }
}

/// How the writers of a key tell the caches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Invalidate,
    /// Within an update, or a write through the cache.
    Update,
    Tag,
}

impl Way {
    fn of(key: u8) -> Self {
        [Self::Invalidate, Self::Update, Self::Tag][usize::from(key % 3)]
    }
}

/// The tag of a key, for those that are told of by it.
fn tag(key: u8) -> String {
    format!("tag-{key}")
}
