use crate::{
    dial::{Dialer, Purpose, Wire},
    endpoint::Address,
    sentinel::Sentinels,
};
use kv_core::RetryPolicy;
use redis::{RedisError, RedisResult};
use std::{io, sync::Arc, time::Duration};
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    time::{Instant, timeout},
};

/// Where connections come from, one attempt at a time.
///
/// After a failed one there is a pause, for all callers together: 10 ms at first, half a second at most, with jitter. Calls during
/// the pause fail at once with the reason.
pub(crate) struct Source {
    pub(crate) dialer: Arc<Dialer>,
    place: Place,
    attempts: Arc<Mutex<Attempts>>,
}

pub(crate) enum Place {
    Server(Address),
    /// A replica of a cluster.
    Replica(Address),
    /// Whoever the sentinels say is the master.
    Master(Arc<Sentinels>),
    /// One of the replicas the sentinels know.
    ReplicaOfMaster(Arc<Sentinels>),
}

#[derive(Default)]
struct Attempts {
    failed: u32,
    last: Option<(Instant, Duration, RedisError)>,
}

/// The right to make the next attempt.
pub(crate) struct Turn(OwnedMutexGuard<Attempts>);

const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));

impl Source {
    pub(crate) fn new(dialer: Arc<Dialer>, place: Place) -> Arc<Self> {
        Arc::new(Self { dialer, place, attempts: Arc::default() })
    }

    /// Waits until nobody else attempts.
    pub(crate) async fn turn(&self) -> Turn {
        Turn(self.attempts.clone().lock_owned().await)
    }

    /// Attempts, or fails with the reason of the last attempt while its pause lasts.
    ///
    /// In a task of its own, so that no caller's short patience keeps it from succeeding; `keep` gets the connection there.
    pub(crate) async fn attempt<T: Send + 'static>(
        self: &Arc<Self>,
        turn: Turn,
        keep: impl FnOnce(Wire) -> T + Send + 'static,
    ) -> RedisResult<T> {
        if let Some((at, pause, error)) = &turn.0.last
            && at.elapsed() < *pause
        {
            return Err(error.clone());
        }
        let source = self.clone();
        let attempt = tokio::spawn(async move {
            let Turn(mut attempts) = turn;
            let opened = source.open().await;
            match opened {
                Ok(wire) => {
                    *attempts = Attempts::default();
                    Ok(keep(wire))
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot connect");
                    let pauses = RetryPolicy::default().base(PAUSES.0).cap(PAUSES.1);
                    attempts.last = Some((Instant::now(), pauses.backoff(attempts.failed), error.clone()));
                    attempts.failed = attempts.failed.saturating_add(1);
                    Err(error)
                }
            }
        });
        attempt.await.unwrap_or_else(|_| Err(not_connected("the runtime shuts down")))
    }

    async fn open(&self) -> RedisResult<Wire> {
        let opening = async {
            match &self.place {
                Place::Server(address) => self.dialer.dial(address, Purpose::Commands).await,
                Place::Replica(address) => self.dialer.dial(address, Purpose::ReplicaReads).await,
                Place::Master(sentinels) => sentinels.dial_master(&self.dialer).await,
                Place::ReplicaOfMaster(sentinels) => sentinels.dial_replica(&self.dialer).await,
            }
        };
        match timeout(self.dialer.options.connect_timeout, opening).await {
            Ok(Err(error)) if error.is_io_error() => Err(not_connected(error)),
            Ok(opened) => opened,
            Err(_) => Err(not_connected("no answer within the connect timeout")),
        }
    }
}

/// An error that says nothing was sent: redis-rs and `classify` know a refused connection as that.
pub(crate) fn not_connected(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> RedisError {
    io::Error::new(io::ErrorKind::ConnectionRefused, reason).into()
}

pub(crate) fn timed_out() -> RedisError {
    io::Error::from(io::ErrorKind::TimedOut).into()
}
