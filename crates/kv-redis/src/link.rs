use crate::{
    dial::Wire,
    error::abort_cause,
    source::{Source, not_connected, timed_out},
    stats::Counter,
};
use arc_swap::ArcSwapOption;
use kv_core::Timeouts;
use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind, Value, aio::MultiplexedConnection};
use std::sync::{
    Arc, OnceLock, Weak,
    atomic::{AtomicU64, Ordering},
};
use tokio::{
    task::AbortHandle,
    time::{Instant, sleep, timeout, timeout_at},
};

/// A shared connection, replaced when it is lost, falls silent, or leads to a read-only server.
pub(crate) struct Link {
    source: Arc<Source>,
    live: ArcSwapOption<Live>,
    timeouts: Timeouts,
}

/// A connection that works as far as is known.
struct Live {
    wire: Wire,
    /// How many replies it brought: a call that gets none, while nobody else does either, ends it.
    replies: AtomicU64,
    heartbeat: OnceLock<AbortHandle>,
}

impl Link {
    pub(crate) fn new(source: Arc<Source>) -> Arc<Self> {
        let timeouts = Timeouts::of(source.dialer.options.deadline);
        Arc::new(Self { source, live: ArcSwapOption::empty(), timeouts })
    }

    /// Whether there is a connection, as far as is known.
    pub(crate) fn is_up(&self) -> bool {
        self.live.load().is_some()
    }

    /// Sends something on the connection, before the deadline; connects before if need be, and never sends twice.
    pub(crate) async fn call<T>(
        self: &Arc<Self>,
        by: Instant,
        send: impl AsyncFnOnce(&mut MultiplexedConnection) -> RedisResult<T>,
        replies: impl Fn(&T) -> &[Value],
    ) -> RedisResult<T> {
        let live = match self.live.load_full() {
            Some(live) => live,
            // Boxed, as everything that is rare: what every call carries along, it pays for.
            None => Box::pin(self.connected_by(by)).await?,
        };
        let replies_before = live.replies.load(Ordering::Relaxed);
        let _call = live.wire.under_way.begin();
        let mut connection = live.wire.connection.clone();
        match self.timeouts.within(by, send(&mut connection)).await {
            Some(reply) => {
                match &reply {
                    Err(error) if error.is_io_error() || says_read_only(error) => self.retire(&live),
                    Ok(value) if replies(value).iter().any(is_read_only) => self.retire(&live),
                    _ => drop(live.replies.fetch_add(1, Ordering::Relaxed)),
                }
                reply
            }
            None => {
                if live.replies.load(Ordering::Relaxed) == replies_before {
                    self.retire(&live);
                }
                Err(timed_out())
            }
        }
    }

    /// Connects, unless it is connected.
    pub(crate) async fn connect(self: &Arc<Self>) -> RedisResult<()> {
        self.connected().await.map(drop)
    }

    async fn connected_by(self: &Arc<Self>, by: Instant) -> RedisResult<Arc<Live>> {
        let connected = timeout_at(by, self.connected()).await;
        connected.unwrap_or_else(|_| Err(not_connected("no connection within the deadline")))
    }

    async fn connected(self: &Arc<Self>) -> RedisResult<Arc<Live>> {
        if let Some(live) = self.live.load_full() {
            return Ok(live);
        }
        let turn = self.source.turn().await;
        if let Some(live) = self.live.load_full() {
            return Ok(live);
        }
        let link = self.clone();
        self.source.attempt(turn, move |wire| link.keep(wire)).await
    }

    fn keep(self: Arc<Self>, wire: Wire) -> Arc<Live> {
        let live = Arc::new(Live { wire, replies: AtomicU64::new(0), heartbeat: OnceLock::new() });
        let task = tokio::spawn(heartbeat(Arc::downgrade(&self), Arc::downgrade(&live)));
        let _ = live.heartbeat.set(task.abort_handle());
        self.live.store(Some(live.clone()));
        live
    }

    /// Lets the next call open a new connection, unless that has been done.
    fn retire(&self, dead: &Arc<Live>) {
        let was = self.live.compare_and_swap(dead, None);
        if was.as_ref().is_some_and(|was| Arc::ptr_eq(was, dead)) {
            self.source.dialer.counters.count(Counter::Retired);
        }
    }

    /// The same for whatever connection there is.
    pub(crate) fn reset(&self) {
        if let Some(live) = self.live.load_full() {
            self.retire(&live);
        }
    }

    /// The connection there is, for those who must not open one.
    pub(crate) fn current(&self) -> Option<MultiplexedConnection> {
        self.live.load().as_ref().map(|live| live.wire.connection.clone())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(heartbeat) = self.heartbeat.get() {
            heartbeat.abort();
        }
    }
}

/// Finds a connection that fell silent although no call waits long enough to see it, or none is made.
async fn heartbeat(link: Weak<Link>, live: Weak<Live>) {
    let mut seen = 0;
    loop {
        let (every, patience) = {
            let Some(link) = link.upgrade() else { return };
            let options = &link.source.dialer.options;
            (options.heartbeat, options.deadline)
        };
        sleep(every).await;
        let (Some(link), Some(live)) = (link.upgrade(), live.upgrade()) else { return };
        let replies = live.replies.load(Ordering::Relaxed);
        if replies == seen {
            let mut connection = live.wire.connection.clone();
            let ping = redis::cmd("PING");
            let probe = connection.send_packed_command(&ping);
            let silent = !matches!(timeout(patience, probe).await, Ok(Ok(_)));
            if silent && live.replies.load(Ordering::Relaxed) == replies {
                return link.retire(&live);
            }
        }
        seen = live.replies.load(Ordering::Relaxed);
    }
}

/// The same for a transaction, whose reply is its error.
pub(crate) fn says_read_only(error: &RedisError) -> bool {
    abort_cause(error).is_some_and(|cause| cause.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly))
}

/// A server that was demoted: its successor is found by connecting again.
pub(crate) fn is_read_only(reply: &Value) -> bool {
    let Value::ServerError(error) = reply else { return false };
    // Servers before 7.0 wrap what a script's command says.
    error.kind() == Some(ServerErrorKind::ReadOnly)
        || error.details().is_some_and(|said| said.starts_with("Error running script") && said.contains("READONLY"))
}
