//! Who a contender is to the reader of a report.

use serde::{Deserialize, Serialize};

/// What a row stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// The least that does the same, or a part of it.
    Floor,
    Ours,
    Peer,
}

/// What the names of others begin with.
const PEERS: [&str; 24] = [
    "ConnectionManager",
    "bb8",
    "cached",
    "deadpool",
    "flate2",
    "foyer",
    "fred",
    "governor",
    "hitbox",
    "ioredis",
    "limitador",
    "limits",
    "miniz",
    "moka",
    "oxcache",
    "redis cache-aio",
    "redis-py",
    "redis-rs ClusterConnection",
    "redis-rs ConnectionManager",
    "redis-rs, defaults",
    "redis_rate",
    "redlock",
    "rate-limiter-flexible",
    "rslock",
];

/// And those of what is measured to know how far it is to go.
const FLOORS: [&str; 11] = [
    "GET",
    "a copy",
    "a map",
    "floor",
    "memory",
    "one server",
    "quick_cache",
    "redis-rs, same",
    "the near store alone",
    "tokio Mutex",
    "zlib-rs",
];

pub(crate) fn role(name: &str) -> Role {
    let among = |names: &[&str]| names.iter().any(|begin| name.starts_with(begin));
    match () {
        () if among(&PEERS) => Role::Peer,
        () if among(&FLOORS) => Role::Floor,
        () => Role::Ours,
    }
}

#[cfg(test)]
mod tests {
    use super::{Role, role};

    #[test]
    fn names_tell_who_is_who() {
        let names =
            ["kv-redis", "get_or_load", "rslock < 10 ms, no fence", "redis-rs, same settings, no deadline", "front"];
        assert_eq!(names.map(role), [Role::Ours, Role::Ours, Role::Peer, Role::Floor, Role::Ours]);
    }
}
