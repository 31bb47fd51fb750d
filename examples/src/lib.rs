// The front page: its code is compiled and run as a doc test.
#![doc = include_str!("../../README.md")]

pub mod http;
mod recorder;
mod redis_server;
mod slow_database;

pub use recorder::Recorder;
pub use redis_server::RedisServer;
pub use slow_database::SlowDatabase;

use std::{env, io};

/// What `REDIS_URL` says: `cargo xtask example NAME` sets it to a server of the example's own.
pub fn redis_url() -> io::Result<String> {
    env::var("REDIS_URL").map_err(|_| {
        io::Error::other(
            "REDIS_URL names no server: `cargo xtask example NAME` starts one, or export REDIS_URL=redis://…",
        )
    })
}
