use crate::link::Link;
use redis::{
    Cmd, Pipeline, RedisFuture, RedisResult, Value,
    aio::{ConnectionLike, MultiplexedConnection},
};
use std::{fmt, io, slice, sync::Arc, time::Duration};
use tokio::time::timeout;

/// A redis-rs connection on which every call ends by the store's deadline: hand it to any command of redis-rs.
///
/// A store's own connection is replaced when it is lost, falls silent, or leads to a server that was demoted. One a service handed
/// over stays what it is.
#[derive(Clone)]
pub struct Connection {
    target: Target,
}

#[derive(Clone)]
enum Target {
    Own(Arc<Link>),
    Borrowed(Arc<dyn Lend>, Duration),
}

/// A connection a service has already.
trait Lend: Send + Sync {
    fn lend(&self) -> Box<dyn ConnectionLike + Send>;
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> Lend for C {
    fn lend(&self) -> Box<dyn ConnectionLike + Send> {
        Box::new(self.clone())
    }
}

impl Connection {
    pub(crate) fn own(link: Arc<Link>) -> Self {
        Self { target: Target::Own(link) }
    }

    pub(crate) fn borrowed(
        connection: impl ConnectionLike + Clone + Send + Sync + 'static,
        deadline: Duration,
    ) -> Self {
        Self { target: Target::Borrowed(Arc::new(connection), deadline) }
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            match &self.target {
                Target::Own(link) => {
                    let send =
                        async |connection: &mut MultiplexedConnection| connection.send_packed_command(command).await;
                    link.call(send, slice::from_ref).await
                }
                Target::Borrowed(lent, deadline) => within(*deadline, lent.lend().req_packed_command(command)).await,
            }
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            match &self.target {
                Target::Own(link) => {
                    let send = async |connection: &mut MultiplexedConnection| {
                        connection.send_packed_commands(pipeline, offset, count).await
                    };
                    link.call(send, |replies| replies).await
                }
                Target::Borrowed(lent, deadline) => {
                    within(*deadline, lent.lend().req_packed_commands(pipeline, offset, count)).await
                }
            }
        })
    }

    fn get_db(&self) -> i64 {
        match &self.target {
            Target::Own(link) => link.db(),
            Target::Borrowed(lent, _) => lent.lend().get_db(),
        }
    }
}

async fn within<T>(deadline: Duration, reply: RedisFuture<'_, T>) -> RedisResult<T> {
    timeout(deadline, reply).await.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}
