use crate::{
    cluster::{Cluster, Route, slot::slot},
    node::Node,
    source::timed_out,
};
use redis::{Cmd, Pipeline, RedisFuture, RedisResult, Value, aio::ConnectionLike};
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};

/// Who carries out the calls of a store.
#[derive(Clone)]
pub(crate) enum Target {
    /// One server, or the one the sentinels name; and a replica of it, if reads go there.
    One(Arc<Node>, Option<Arc<Node>>),
    Cluster(Arc<Cluster>),
    /// A connection a service has already.
    Borrowed(Arc<dyn Lend>),
}

pub(crate) trait Lend: Send + Sync {
    fn lend(&self) -> Box<dyn ConnectionLike + Send>;
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> Lend for C {
    fn lend(&self) -> Box<dyn ConnectionLike + Send> {
        Box::new(self.clone())
    }
}

/// What a command touches, so that no way has to take the command apart.
#[derive(Clone, Copy)]
pub(crate) enum Touch<'a> {
    Write(&'a str),
    Read(&'a str),
    Nothing,
    /// Whatever the command says itself.
    Unknown,
}

impl Target {
    pub(crate) async fn command(&self, touch: Touch<'_>, command: &Cmd, by: Instant) -> RedisResult<Value> {
        match self {
            Self::One(node, None) => node.command(command, by).await,
            // Boxed, so that calls to one server do not carry the others' state along.
            _ => Box::pin(self.command_elsewhere(touch, command, by)).await,
        }
    }

    async fn command_elsewhere(&self, touch: Touch<'_>, command: &Cmd, by: Instant) -> RedisResult<Value> {
        match self {
            Self::One(master, Some(replica)) if matches!(touch, Touch::Read(_)) => {
                match replica.command(command, halfway(by)).await {
                    Ok(reply) if !matches!(reply, Value::ServerError(_)) => Ok(reply),
                    _ => master.command(command, by).await,
                }
            }
            Self::One(node, _) => node.command(command, by).await,
            Self::Cluster(cluster) => match touch {
                Touch::Write(key) => cluster.command(Route::Slot(slot(key.as_bytes())), command, by).await,
                Touch::Read(key) => cluster.command(Route::Read(slot(key.as_bytes())), command, by).await,
                Touch::Nothing => cluster.command(Route::Any, command, by).await,
                Touch::Unknown => Box::pin(cluster.any_command(command, by)).await,
            },
            Self::Borrowed(lent) => within(by, lent.lend().req_packed_command(command)).await,
        }
    }

    pub(crate) async fn pipeline(
        &self,
        pipeline: &Pipeline,
        offset: usize,
        count: usize,
        by: Instant,
    ) -> RedisResult<Vec<Value>> {
        match self {
            Self::One(node, _) => node.pipeline(pipeline, offset, count, by).await,
            Self::Cluster(cluster) => Box::pin(cluster.any_pipeline(pipeline, offset, count, by)).await,
            Self::Borrowed(lent) => within(by, lent.lend().req_packed_commands(pipeline, offset, count)).await,
        }
    }

    /// Whether keys can be in different slots.
    pub(crate) fn has_slots(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }
}

/// Half of the time there is, so that the other half is left for the master.
pub(crate) fn halfway(by: Instant) -> Instant {
    let now = Instant::now();
    now + by.saturating_duration_since(now) / 2
}

async fn within<T>(by: Instant, reply: RedisFuture<'_, T>) -> RedisResult<T> {
    timeout_at(by, reply).await.unwrap_or_else(|_| Err(timed_out()))
}
