//! What the command line may say.

use std::{process::exit, time::Duration};

xflags::xflags! {
    /// A rate limited HTTP service on axum, under load.
    cmd api {
        /// The Redis to run on, such as redis://127.0.0.1:6379; else REDIS_URL, else memory.
        optional --redis url: String
        /// For how many seconds to drive it (default 3).
        optional --seconds n: u64
        /// On how many connections each client sends (default 4).
        optional --connections n: usize
    }
}

/// The command line with its defaults.
pub(crate) struct Args {
    pub(crate) redis: Option<String>,
    pub(crate) time: Duration,
    pub(crate) connections: usize,
}

impl Args {
    /// Ends the process with one sentence and 2 when they make no sense.
    pub(crate) fn from_env() -> Self {
        let flags = Api::from_env().unwrap_or_else(|error| error.exit());
        let environment = std::env::var("REDIS_URL").ok().filter(|url| !url.is_empty());
        let (seconds, connections) = (flags.seconds.unwrap_or(3), flags.connections.unwrap_or(4));
        if !(1..=3600).contains(&seconds) || !(1..=1000).contains(&connections) {
            eprintln!("error: --seconds must be from 1 to 3600, --connections from 1 to 1000");
            exit(2);
        }
        Self { redis: flags.redis.or(environment), time: Duration::from_secs(seconds), connections }
    }
}
