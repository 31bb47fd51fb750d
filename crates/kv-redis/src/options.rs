mod pool;
mod tls;

pub use {pool::PoolOptions, tls::TlsOptions};

use kv_core::{Error, Limits, Result};
use std::time::Duration;
use tokio::time::Instant;

/// How a [`RedisStore`](crate::RedisStore) talks to its servers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisOptions {
    /// The longest a call takes, with all its queues, reconnects and redirections; late by a sixteenth at most. Default: 1 s.
    pub deadline: Duration,
    /// The longest an attempt to connect takes. Default: 1 s.
    pub connect_timeout: Duration,
    /// How many commands may queue before a connection's writer; more wait. Default: 1024.
    pub pipeline_buffer: usize,
    /// How long a connection may bring nothing before it is probed. Default: 5 s.
    pub heartbeat: Duration,
    /// What connections call themselves in `CLIENT LIST`. Default: nothing.
    pub client_name: Option<String>,
    /// How `rediss` URLs encrypt; needs the feature `tls`. Default: the system's certificate authorities.
    pub tls: TlsOptions,
    /// A pool of connections, each for one call at a time, instead of one that all calls share. Default: none.
    pub pool: Option<PoolOptions>,
    /// Who answers `get`, `exists`, `ttl` and an `mget` of one slot, in a cluster or behind sentinels. Default: the master.
    pub read_from: ReadFrom,
    /// How many calls may block at once on each server, each on a connection of its own. Default: 64.
    pub max_lanes: usize,
    /// What is refused before it is sent. Default: Redis' own limits.
    pub limits: Limits,
}

/// Who answers reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadFrom {
    /// The master, so that a read sees every write before it.
    #[default]
    Master,
    /// A replica, which may be behind; the master where none answers.
    Replicas,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(1),
            pipeline_buffer: 1024,
            heartbeat: Duration::from_secs(5),
            client_name: None,
            tls: TlsOptions::default(),
            pool: None,
            read_from: ReadFrom::Master,
            max_lanes: 64,
            limits: Limits::default(),
        }
    }
}

impl RedisOptions {
    /// Sets [`deadline`](Self::deadline).
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets [`connect_timeout`](Self::connect_timeout).
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets [`pipeline_buffer`](Self::pipeline_buffer).
    #[must_use]
    pub fn pipeline_buffer(mut self, commands: usize) -> Self {
        self.pipeline_buffer = commands;
        self
    }

    /// Sets [`heartbeat`](Self::heartbeat).
    #[must_use]
    pub fn heartbeat(mut self, heartbeat: Duration) -> Self {
        self.heartbeat = heartbeat;
        self
    }

    /// Sets [`client_name`](Self::client_name).
    #[must_use]
    pub fn client_name(mut self, name: impl Into<String>) -> Self {
        self.client_name = Some(name.into());
        self
    }

    /// Sets [`tls`](Self::tls).
    #[must_use]
    pub fn tls(mut self, tls: TlsOptions) -> Self {
        self.tls = tls;
        self
    }

    /// Sets [`pool`](Self::pool).
    #[must_use]
    pub fn pool(mut self, pool: PoolOptions) -> Self {
        self.pool = Some(pool);
        self
    }

    /// Sets [`read_from`](Self::read_from).
    #[must_use]
    pub fn read_from(mut self, read_from: ReadFrom) -> Self {
        self.read_from = read_from;
        self
    }

    /// Sets [`max_lanes`](Self::max_lanes).
    #[must_use]
    pub fn max_lanes(mut self, lanes: usize) -> Self {
        self.max_lanes = lanes;
        self
    }

    /// Sets [`limits`](Self::limits).
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        let pool = self.pool.unwrap_or_default();
        let wrong = [
            ("deadline must not be zero", self.deadline.is_zero()),
            ("connect_timeout must not be zero", self.connect_timeout.is_zero()),
            ("pipeline_buffer must not be zero", self.pipeline_buffer == 0),
            ("heartbeat must not be zero", self.heartbeat.is_zero()),
            ("max_lanes must not be zero", self.max_lanes == 0),
            ("pool.max must not be zero", pool.max == 0),
            ("pool.min must not be above pool.max", pool.min > pool.max),
            ("pool.acquire_timeout must not be zero", pool.acquire_timeout.is_zero()),
            ("client_name must be without spaces", self.client_name.as_ref().is_some_and(|name| !is_name(name))),
        ];
        match wrong.iter().find(|(_, wrong)| *wrong) {
            Some((why, _)) => Err(Error::invalid_config("connect", *why)),
            None => Ok(()),
        }
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The end of a time that begins now.
pub(crate) fn from_now(time: Duration) -> Instant {
    /// Long enough to be never, short enough for every clock.
    const NEVER: Duration = Duration::from_secs(1 << 30);
    let now = Instant::now();
    now.checked_add(time).unwrap_or(now + NEVER)
}
