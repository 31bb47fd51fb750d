use crate::{
    dial::Wire,
    link::says_read_only,
    source::{Source, not_connected, timed_out},
    stats::Counter,
};
use kv_core::Timeouts;
use redis::{RedisResult, aio::MultiplexedConnection};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError},
    time::{Instant, timeout_at},
};

/// Connections that one call has to itself while it runs: a pool, and the way of everything that blocks.
pub(crate) struct Lanes {
    source: Arc<Source>,
    permits: Arc<Semaphore>,
    /// The last used is the first to be used again, so that the others grow old and go.
    idle: Mutex<Vec<(Instant, Wire)>>,
    min: usize,
    timeouts: Timeouts,
}

/// One connection; dropped, it is closed.
pub(crate) struct Lane {
    wire: Wire,
    permit: OwnedSemaphorePermit,
}

/// How long a connection may be idle before it is closed, unless the pool would have fewer than its minimum.
const IDLE: Duration = Duration::from_secs(60);

impl Lanes {
    pub(crate) fn new(source: Arc<Source>, min: usize, max: usize) -> Arc<Self> {
        let permits = Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS)));
        let timeouts = Timeouts::of(source.dialer.options.deadline);
        Arc::new(Self { source, permits, idle: Mutex::default(), min, timeouts })
    }

    /// Opens as many connections as the pool has at least.
    pub(crate) async fn fill(&self) -> RedisResult<()> {
        for _ in 0..self.min {
            let wire = self.open().await?;
            self.idle().push((Instant::now(), wire));
        }
        Ok(())
    }

    /// A connection, in the order in which it was asked for.
    pub(crate) async fn take(&self, by: Instant) -> RedisResult<Lane> {
        let counters = &self.source.dialer.counters;
        let permit = match self.permits.clone().try_acquire_owned() {
            Ok(permit) => Some(permit),
            Err(TryAcquireError::Closed) => None,
            Err(TryAcquireError::NoPermits) => {
                counters.count(Counter::Waited);
                timeout_at(by, self.permits.clone().acquire_owned()).await.ok().and_then(Result::ok)
            }
        };
        let Some(permit) = permit else {
            counters.count(Counter::WaitFailed);
            return Err(not_connected("no connection of the pool became free in time"));
        };
        while let Some((_, wire)) = { self.idle().pop() } {
            if !wire.is_closed() {
                return Ok(Lane { wire, permit });
            }
        }
        let opened = timeout_at(by, self.open()).await;
        let wire = opened.unwrap_or_else(|_| Err(not_connected("no connection within the deadline")))?;
        Ok(Lane { wire, permit })
    }

    /// Takes a connection back that has nothing under way.
    pub(crate) fn give_back(&self, lane: Lane) {
        let Lane { wire, permit } = lane;
        let mut idle = self.idle();
        if !wire.is_closed() {
            idle.push((Instant::now(), wire));
        }
        while idle.len() > self.min && idle.first().is_some_and(|(since, _)| since.elapsed() > IDLE) {
            idle.remove(0);
        }
        drop(permit);
    }

    /// Sends something on a connection of its own. One that fails, or whose caller leaves before the reply, is closed.
    pub(crate) async fn call<T>(
        &self,
        take_by: Instant,
        by: Instant,
        send: impl AsyncFnOnce(&mut MultiplexedConnection) -> RedisResult<T>,
        demoted: impl Fn(&T) -> bool,
    ) -> RedisResult<T> {
        let mut lane = self.take(take_by).await?;
        let begun = Instant::now();
        let reply = self.timeouts.within(by, send(lane.connection())).await.unwrap_or_else(|| Err(timed_out()));
        match &reply {
            Err(error) if error.is_io_error() => {
                self.source.dialer.counters.count(Counter::Retired);
                if error.is_timeout() {
                    self.doubt(begun);
                }
            }
            reply if reply.as_ref().map_or_else(says_read_only, demoted) => {
                self.source.dialer.counters.count(Counter::Retired);
                self.clear();
            }
            _ => self.give_back(lane),
        }
        reply
    }

    /// Closes what is idle and has brought nothing since one that was asked then fell silent: each would cost a call to find out.
    pub(crate) fn doubt(&self, since: Instant) {
        self.idle().retain(|(used, _)| *used > since);
    }

    /// Closes what is idle.
    pub(crate) fn clear(&self) {
        self.idle().clear();
    }

    async fn open(&self) -> RedisResult<Wire> {
        self.source.attempt(self.source.turn().await, |wire| wire).await
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<(Instant, Wire)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lane {
    pub(crate) fn connection(&mut self) -> &mut MultiplexedConnection {
        &mut self.wire.connection
    }

    /// What the server calls this connection.
    pub(crate) async fn id(&mut self) -> RedisResult<i64> {
        if let Some(id) = self.wire.id {
            return Ok(id);
        }
        let id = redis::cmd("CLIENT").arg("ID").query_async(&mut self.wire.connection).await?;
        self.wire.id = Some(id);
        Ok(id)
    }
}
