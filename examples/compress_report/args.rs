//! What the command line may say.

use std::{path::PathBuf, process::exit};

xflags::xflags! {
    /// What compression would save in a keyspace.
    cmd report {
        /// The Redis to look at, such as redis://127.0.0.1:6379; else REDIS_URL, else a demo in memory.
        optional --redis url: String
        /// Only keys that begin with this (default all).
        optional --prefix prefix: String
        /// How many values to read at most (default 2000).
        optional --keys n: usize
        /// Trains a dictionary from the one kind of key there is under the prefix, into this file.
        optional --dictionary file: PathBuf
        /// Of at most so many bytes (default 16384).
        optional --dictionary-bytes n: usize
        /// Writes some keys with a minute to live first, and checks what comes out.
        optional --demo
    }
}

/// The command line with its defaults.
pub(crate) struct Args {
    pub(crate) redis: Option<String>,
    pub(crate) prefix: String,
    pub(crate) keys: usize,
    pub(crate) dictionary: Option<PathBuf>,
    pub(crate) dictionary_bytes: usize,
    pub(crate) demo: bool,
}

impl Args {
    /// Ends the process with one sentence and 2 when they make no sense.
    pub(crate) fn from_env() -> Self {
        let flags = Report::from_env().unwrap_or_else(|error| error.exit());
        let environment = std::env::var("REDIS_URL").ok().filter(|url| !url.is_empty());
        let keys = flags.keys.unwrap_or(2000);
        if keys == 0 {
            eprintln!("error: --keys must be at least 1");
            exit(2);
        }
        Self {
            redis: flags.redis.or(environment),
            prefix: flags.prefix.unwrap_or_default(),
            keys,
            dictionary: flags.dictionary,
            dictionary_bytes: flags.dictionary_bytes.unwrap_or(16 << 10),
            demo: flags.demo,
        }
    }
}
