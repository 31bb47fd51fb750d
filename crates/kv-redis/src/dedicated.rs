use crate::{
    RedisStore,
    error::classify,
    lanes::Lane,
    options::from_now,
    source::timed_out,
    waiting::{Waits, waits},
};
use kv_core::Result;
use redis::{Cmd, Pipeline, RedisFuture, RedisResult, Value, aio::ConnectionLike};
use std::{fmt, time::Duration};
use tokio::time::timeout;

/// A connection of one's own, for what does not belong on a shared one: blocking commands, `WATCH` with `MULTI`, `SELECT`.
///
/// A call ends by the store's deadline, and one that waits by that much after its own time-out; one that waits for ever has no end but
/// being dropped. After an error, or a call that was dropped, the connection answers no more. It is closed when it is dropped, and
/// counts among [`max_lanes`](crate::RedisOptions::max_lanes) until then. A reply that nobody waits for any more is lost, and what a `BLPOP` took with it:
/// the store's [`BlockingStore`](kv_core::BlockingStore) loses nothing.
pub struct Dedicated {
    lane: Option<Lane>,
    deadline: Duration,
    db: i64,
}

impl RedisStore {
    /// Takes a connection of one's own, to the server of this key in a cluster.
    ///
    /// Waits at most the deadline while [`max_lanes`](crate::RedisOptions::max_lanes) are taken. Costs a connection, unless one is idle.
    pub async fn dedicated(&self, key: &str) -> Result<Dedicated> {
        let node = self.own_node("dedicated", key)?;
        let lane = node.lanes.take(from_now(self.options().deadline)).await;
        let lane = Some(lane.map_err(|error| classify("dedicated", &error))?);
        Ok(Dedicated { lane, deadline: self.options().deadline, db: self.connection().db })
    }
}

impl Dedicated {
    async fn call<T>(
        &mut self,
        wait: Option<Waits>,
        send: impl AsyncFnOnce(&mut Lane) -> RedisResult<T>,
    ) -> RedisResult<T> {
        let gone = || redis::RedisError::from(std::io::Error::from(std::io::ErrorKind::NotConnected));
        // Comes back only with the reply: whoever drops the call leaves a connection nobody can use.
        let mut lane = self.lane.take().ok_or_else(gone)?;
        let wait = match wait {
            Some(Waits::Forever) => Duration::MAX,
            Some(Waits::For(wait)) => wait,
            _ => Duration::ZERO,
        };
        let reply =
            timeout(self.deadline.saturating_add(wait), send(&mut lane)).await.unwrap_or_else(|_| Err(timed_out()));
        if reply.as_ref().map_or_else(|error| !error.is_io_error(), |_| true) {
            self.lane = Some(lane);
        }
        reply
    }
}

impl ConnectionLike for Dedicated {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(self.call(waits(command), async |lane| lane.connection().send_packed_command(command).await))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(
            self.call(None, async move |lane| lane.connection().send_packed_commands(pipeline, offset, count).await),
        )
    }

    fn get_db(&self) -> i64 {
        self.db
    }
}

impl fmt::Debug for Dedicated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dedicated").field("open", &self.lane.is_some()).finish_non_exhaustive()
    }
}
