use crate::RedisOptions;
use arc_swap::ArcSwapOption;
use kv_core::RetryPolicy;
use redis::{
    AsyncConnectionConfig, Client, RedisError, RedisResult, ServerErrorKind, Value, aio::MultiplexedConnection,
};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    time::{Instant, timeout},
};

/// The multiplexed connection of a store, replaced when it is lost, falls silent, or leads to a read-only server.
///
/// At most one attempt to connect runs at a time, in a task of its own, so that no caller's short patience keeps it from succeeding. After a
/// failed one there is a pause, for all callers together: 10 ms at first, half a second at most, with jitter. Calls during
/// the pause fail at once with the reason.
pub(crate) struct Link {
    client: Client,
    options: RedisOptions,
    live: ArcSwapOption<Live>,
    opening: Arc<Mutex<Attempts>>,
}

/// A connection that works as far as is known.
struct Live {
    connection: MultiplexedConnection,
    /// How many replies it brought: a call that gets none, while nobody else does either, ends it.
    replies: AtomicU64,
}

#[derive(Default)]
struct Attempts {
    failed: u32,
    last: Option<(Instant, Duration, RedisError)>,
}

const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));

impl Link {
    /// A link that is connected.
    pub(crate) async fn open(client: Client, options: RedisOptions) -> RedisResult<Arc<Self>> {
        let link = Arc::new(Self { client, options, live: ArcSwapOption::empty(), opening: Arc::default() });
        link.connected().await?;
        Ok(link)
    }

    pub(crate) fn db(&self) -> i64 {
        self.client.get_connection_info().redis_settings().db()
    }

    /// Sends something on the connection, within the deadline; connects before if need be, and never sends twice.
    pub(crate) async fn call<T>(
        self: &Arc<Self>,
        send: impl AsyncFnOnce(&mut MultiplexedConnection) -> RedisResult<T>,
        replies: impl Fn(&T) -> &[Value],
    ) -> RedisResult<T> {
        let mut sent = None;
        let calling = async {
            let live = self.connected().await?;
            let mut connection = live.connection.clone();
            sent = Some((live.replies.load(Ordering::Relaxed), live));
            send(&mut connection).await
        };
        let reply = timeout(self.options.deadline, calling).await;
        let Some((replies_before, live)) = sent else {
            return reply.unwrap_or_else(|_| Err(not_connected("no connection within the deadline")));
        };
        match reply {
            Ok(reply) => {
                match &reply {
                    Err(error) if error.is_io_error() => self.retire(&live),
                    Ok(value) if replies(value).iter().any(is_read_only) => self.retire(&live),
                    _ => drop(live.replies.fetch_add(1, Ordering::Relaxed)),
                }
                reply
            }
            Err(_) => {
                if live.replies.load(Ordering::Relaxed) == replies_before {
                    self.retire(&live);
                }
                Err(io::Error::from(io::ErrorKind::TimedOut).into())
            }
        }
    }

    /// The connection, or a new one.
    async fn connected(self: &Arc<Self>) -> RedisResult<Arc<Live>> {
        if let Some(live) = self.live.load_full() {
            return Ok(live);
        }
        let attempts = self.opening.clone().lock_owned().await;
        if let Some(live) = self.live.load_full() {
            return Ok(live);
        }
        if let Some((at, pause, error)) = &attempts.last
            && at.elapsed() < *pause
        {
            return Err(error.clone());
        }
        let link = self.clone();
        let attempt = tokio::spawn(async move { link.attempt(attempts).await });
        attempt.await.unwrap_or_else(|_| Err(not_connected("the runtime shuts down")))
    }

    async fn attempt(&self, mut attempts: OwnedMutexGuard<Attempts>) -> RedisResult<Arc<Live>> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.options.connect_timeout))
            // `call` bounds every wait, so redis-rs' own timer would only cost.
            .set_response_timeout(None)
            .set_pipeline_buffer_size(self.options.pipeline_buffer);
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        let connected = match timeout(self.options.connect_timeout, connecting).await {
            Ok(Err(error)) if error.is_io_error() => Err(not_connected(error)),
            Ok(connected) => connected,
            Err(_) => Err(not_connected("no answer within the connect timeout")),
        };
        match connected {
            Ok(connection) => {
                let live = Arc::new(Live { connection, replies: AtomicU64::new(0) });
                self.live.store(Some(live.clone()));
                *attempts = Attempts::default();
                Ok(live)
            }
            Err(error) => {
                tracing::warn!(%error, "cannot connect");
                let pauses = RetryPolicy::default().base(PAUSES.0).cap(PAUSES.1);
                attempts.last = Some((Instant::now(), pauses.backoff(attempts.failed), error.clone()));
                attempts.failed = attempts.failed.saturating_add(1);
                Err(error)
            }
        }
    }

    /// Lets the next call open a new connection, unless that has been done.
    fn retire(&self, dead: &Arc<Live>) {
        self.live.compare_and_swap(dead, None);
    }
}

/// A server that was demoted: its successor is found by connecting again.
fn is_read_only(reply: &Value) -> bool {
    matches!(reply, Value::ServerError(error) if error.kind() == Some(ServerErrorKind::ReadOnly))
}

/// An error that says nothing was sent: redis-rs and `classify` know a refused connection as that.
fn not_connected(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> RedisError {
    io::Error::new(io::ErrorKind::ConnectionRefused, reason).into()
}
