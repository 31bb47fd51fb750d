//! What the command line may say.

use std::{path::PathBuf, process::exit, time::Duration};

xflags::xflags! {
    /// A product service on a rate limiter, a compressed cache and fenced locks, under load.
    cmd storefront {
        /// The Redis to run on, such as redis://127.0.0.1:6379; else REDIS_URL, else memory.
        optional --redis url: String
        /// Replay this trace instead of random requests: lines `start count ignore seq`, plain or gzip.
        optional --trace file: PathBuf
        /// Concurrent clients of each process (default 64, or 16 with a trace); without a trace the first one ignores its quota.
        optional --clients n: usize
        /// End after this many requests.
        optional --requests n: u64
        /// End after this many seconds (default 8, unless there is a trace or --requests).
        optional --seconds n: u64
        /// Instead of the load, show what each guard keeps away: off and on.
        optional --guards
        /// Share the load among this many processes, on one Redis (default 1).
        optional --processes n: usize
    }
}

/// The command line with its defaults.
#[derive(Clone, Debug)]
pub(crate) struct Args {
    pub(crate) redis: Option<String>,
    pub(crate) trace: Option<PathBuf>,
    pub(crate) clients: usize,
    pub(crate) requests: u64,
    pub(crate) time: Option<Duration>,
    pub(crate) processes: usize,
    pub(crate) guards: bool,
}

impl Args {
    /// Ends the process with one sentence and 2 when they make no sense.
    pub(crate) fn from_env() -> Self {
        let flags = Storefront::from_env().unwrap_or_else(|error| error.exit());
        let environment = std::env::var("REDIS_URL").ok().filter(|url| !url.is_empty());
        let endless = flags.trace.is_none() && flags.requests.is_none();
        let args = Self {
            redis: flags.redis.or(environment),
            clients: flags.clients.unwrap_or(if flags.trace.is_some() { 16 } else { 64 }),
            requests: flags.requests.unwrap_or(u64::MAX),
            trace: flags.trace,
            time: flags.seconds.or(endless.then_some(8)).map(Duration::from_secs),
            processes: flags.processes.unwrap_or(1),
            guards: flags.guards,
        };
        let wrong = if args.clients == 0 || args.clients > 10_000 {
            "--clients must be from 1 to 10000"
        } else if args.requests == 0 || args.time.is_some_and(|time| time.is_zero()) {
            "--requests and --seconds must not be zero"
        } else if args.processes == 0 || args.processes > 64 {
            "--processes must be from 1 to 64"
        } else if args.processes > 1 && args.redis.is_none() {
            "--processes needs a Redis to share: add --redis URL or set REDIS_URL"
        } else {
            return args;
        };
        eprintln!("error: {wrong}");
        exit(2);
    }
}
