//! Reads of a cache through its store, against the least code that reads and decodes the same; and many who want what is not there.

mod avalanche;
mod processes;
mod race;
mod reads;
mod refresh;
mod replay;
mod stampede;

pub(crate) use processes::serve;
pub(crate) use replay::choose as choose_trace;

use std::time::Duration;

use anyhow::Result;

use crate::pin::Placement;
use crate::scenario::{BoxFuture, Contenders, Scenario, TURN};
use crate::stage::Stage;
use reads::Form;

pub(crate) const GET: Scenario =
    cache("cache-get", "one task reads 100 bytes that are there", Placement::Same, |url| {
        reads::contenders(url, Form::Bytes, 1)
    });

pub(crate) const GET_64: Scenario =
    cache("cache-get-64", "64 tasks read 100 bytes each that are there", Placement::Split, |url| {
        reads::contenders(url, Form::Bytes, 64)
    });

pub(crate) const GET_JSON: Scenario =
    cache("cache-get-json", "one task reads a record that is there", Placement::Same, |url| {
        reads::contenders(url, Form::Json, 1)
    });

pub(crate) const GET_JSON_64: Scenario =
    cache("cache-get-json-64", "64 tasks read a record each that is there", Placement::Split, |url| {
        reads::contenders(url, Form::Json, 64)
    });

/// An operation is all of them.
pub(crate) const STAMPEDE: Scenario = Scenario {
    less_of: Some("last, ms after the load"),
    ..cache(
        "cache-stampede",
        "2,000 tasks want a key that is not there, and takes 50 ms to load",
        Placement::Split,
        stampede::contenders,
    )
};

pub(crate) const STAMPEDE_PROCESSES: Scenario = Scenario {
    less_of: Some("loads"),
    ..cache("cache-stampede-processes", "the same from several processes", Placement::None, processes::contenders)
};

pub(crate) const XFETCH: Scenario = Scenario {
    less_of: Some("gets per TTL that wait"),
    turn: Duration::from_secs(4),
    ..cache(
        "cache-xfetch",
        "1,000 gets a second of a key that expires every second, and takes 20 ms to load",
        Placement::Split,
        refresh::contenders,
    )
};

pub(crate) const AVALANCHE: Scenario = Scenario {
    less_of: Some("gets of 100 that miss"),
    turn: Duration::from_secs(2),
    ..cache(
        "cache-avalanche",
        "64 tasks read 100,000 keys that expired at once, and take 5 ms to load",
        Placement::Split,
        avalanche::contenders,
    )
};

/// Of which page, `--trace` says.
pub(crate) const REPLAY: Scenario = Scenario {
    less_of: Some("loads"),
    ..cache(
        "cache-replay",
        "200,000 reads of a trace from 4 processes, a new one every turn; a page takes 1 ms to load",
        Placement::None,
        replay::contenders,
    )
};

pub(crate) const RACE: Scenario = Scenario {
    less_of: Some("stale of 1000 after 1 s"),
    ..cache("cache-race", "a key is read and changed at the same time", Placement::None, race::contenders)
};

const fn cache(
    name: &'static str,
    about: &'static str,
    pin: Placement,
    contenders: fn(String) -> BoxFuture<'static, Result<Contenders>>,
) -> Scenario {
    let crates = &["redis", "tokio", "moka", "foyer", "cached", "hitbox-redis", "kv-redis", "redis-cache"];
    Scenario { name, about, pin, turn: TURN, crates, stage: Stage::Server, less_of: None, contenders }
}
