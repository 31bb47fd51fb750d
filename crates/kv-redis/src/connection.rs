use crate::{
    options::from_now,
    target::{Target, Touch},
    waiting::waits,
};
use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, Value, aio::ConnectionLike};
use std::{fmt, time::Duration};

/// A redis-rs connection on which every call ends by the store's deadline: hand it to any command of redis-rs.
///
/// In a cluster, commands go where their keys are; `MGET`, `MSET`, `DEL`, `UNLINK`, `EXISTS` and `TOUCH` over several slots are split,
/// `DBSIZE`, `KEYS`, `FLUSHALL` and the like go to every master, and each command of a pipeline to its own node. Commands that wait, and those
/// that change the state of a connection, are refused: they belong on a [`dedicated`](crate::RedisStore::dedicated) one.
#[derive(Clone)]
pub struct Connection {
    pub(crate) target: Target,
    pub(crate) deadline: Duration,
    pub(crate) db: i64,
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            if waits(command).is_some() {
                return Err(not_here());
            }
            self.target.command(Touch::Unknown, command, from_now(self.deadline)).await
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            if pipeline.cmd_iter().any(|command| waits(command).is_some()) {
                return Err(not_here());
            }
            self.target.pipeline(pipeline, offset, count, from_now(self.deadline)).await
        })
    }

    fn get_db(&self) -> i64 {
        self.db
    }
}

fn not_here() -> RedisError {
    (ErrorKind::InvalidClientConfig, "the connection is shared, this command belongs on a dedicated one").into()
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}
