use kv_core::{Error, Limits, Result};
use std::time::Duration;

/// How a [`RedisStore`](crate::RedisStore) talks to its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisOptions {
    /// The longest a call takes, with all its queues, reconnects and resends. Default: 1 s.
    pub deadline: Duration,
    /// The longest an attempt to connect takes. Default: 1 s.
    pub connect_timeout: Duration,
    /// How many commands may queue before the connection's writer; more wait. Default: 1024.
    pub pipeline_buffer: usize,
    /// How long a subscription's link may be silent before it is probed. Default: 5 s.
    pub heartbeat: Duration,
    /// What is refused before it is sent. Default: Redis' own limits.
    pub limits: Limits,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(1),
            pipeline_buffer: 1024,
            heartbeat: Duration::from_secs(5),
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

    /// Sets [`limits`](Self::limits).
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        let zero = [
            ("deadline", self.deadline.is_zero()),
            ("connect_timeout", self.connect_timeout.is_zero()),
            ("pipeline_buffer", self.pipeline_buffer == 0),
            ("heartbeat", self.heartbeat.is_zero()),
        ];
        match zero.iter().find(|(_, zero)| *zero) {
            Some((field, _)) => Err(Error::invalid_config("connect", format!("{field} must not be zero"))),
            None => Ok(()),
        }
    }
}
