use kv_core::{Error, Limits, Result};
use std::{fmt, time::Duration};
use tokio::time::Instant;

/// How a [`RedisStore`](crate::RedisStore) talks to its servers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisOptions {
    /// The longest a call takes, with all its queues, reconnects and redirections. Default: 1 s.
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

/// How `rediss` connections are encrypted, and who proves what to whom.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsOptions {
    /// The certificate authorities that servers are checked against, as PEM. Default: the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// The client's own certificate chain, as PEM, for servers that ask. Default: none.
    pub client_cert_pem: Option<Vec<u8>>,
    /// The key of that certificate, as PEM. Default: none.
    pub client_key_pem: Option<Vec<u8>>,
    /// The name a server's certificate has to bear. Default: the host it is reached by.
    pub server_name: Option<String>,
}

/// The size of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolOptions {
    /// Connections opened at the start and kept. Default: 1.
    pub min: usize,
    /// The most connections; more calls wait, first come, first served. Default: 16.
    pub max: usize,
    /// The longest a call waits for a connection, within its deadline. Default: 500 ms.
    pub acquire_timeout: Duration,
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

impl Default for PoolOptions {
    fn default() -> Self {
        Self { min: 1, max: 16, acquire_timeout: Duration::from_millis(500) }
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

impl TlsOptions {
    /// Sets [`ca_pem`](Self::ca_pem).
    #[must_use]
    pub fn ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca_pem = Some(pem.into());
        self
    }

    /// Sets [`client_cert_pem`](Self::client_cert_pem) and [`client_key_pem`](Self::client_key_pem).
    #[must_use]
    pub fn client(mut self, cert_pem: impl Into<Vec<u8>>, key_pem: impl Into<Vec<u8>>) -> Self {
        (self.client_cert_pem, self.client_key_pem) = (Some(cert_pem.into()), Some(key_pem.into()));
        self
    }

    /// Sets [`server_name`](Self::server_name).
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }
}

impl fmt::Debug for TlsOptions {
    /// Says what is there, and shows no key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions")
            .field("ca_pem", &self.ca_pem.is_some())
            .field("client", &self.client_cert_pem.is_some())
            .field("server_name", &self.server_name)
            .finish()
    }
}

impl PoolOptions {
    /// Sets [`min`](Self::min).
    #[must_use]
    pub fn min(mut self, connections: usize) -> Self {
        self.min = connections;
        self
    }

    /// Sets [`max`](Self::max).
    #[must_use]
    pub fn max(mut self, connections: usize) -> Self {
        self.max = connections;
        self
    }

    /// Sets [`acquire_timeout`](Self::acquire_timeout).
    #[must_use]
    pub fn acquire_timeout(mut self, timeout: Duration) -> Self {
        self.acquire_timeout = timeout;
        self
    }

    /// When a wait for a connection ends, of a call that ends by then.
    pub(crate) fn by(self, by: Instant) -> Instant {
        from_now(self.acquire_timeout).min(by)
    }
}

/// The end of a time that begins now.
pub(crate) fn from_now(time: Duration) -> Instant {
    /// Long enough to be never, short enough for every clock.
    const NEVER: Duration = Duration::from_secs(1 << 30);
    let now = Instant::now();
    now.checked_add(time).unwrap_or(now + NEVER)
}
