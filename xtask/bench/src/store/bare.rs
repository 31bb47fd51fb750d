//! redis-rs, and no more than it takes.

use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use redis::aio::ConnectionLike;
use redis::{Cmd, FromRedisValue, Pipeline, RedisResult, cmd, pipe};
use tokio::time::timeout;

use super::{MANY, VALUE, Verb, key, many_keys};
use crate::load::Operation;

/// When a call that gets no reply ends.
#[derive(Clone, Copy)]
pub(super) enum Deadline {
    /// A timer around each call.
    After(Duration),
    /// Never, or when the connection says so.
    OfConnection,
}

impl Deadline {
    async fn bound<T>(self, call: impl Future<Output = RedisResult<T>>) -> Result<T> {
        Ok(match self {
            Self::After(time) => timeout(time, call).await??,
            Self::OfConnection => call.await?,
        })
    }
}

/// Commands one by one.
pub(super) struct Bare<C> {
    connection: C,
    deadline: Deadline,
    verb: Verb,
    keys: Vec<String>,
}

impl<C: ConnectionLike + Clone + Send + 'static> Bare<C> {
    /// One for each task, on the same connection.
    pub(super) fn all(connection: &C, deadline: Deadline, verb: Verb, tasks: usize) -> Vec<Self> {
        let keys = |task| if matches!(verb, Verb::Mget) { many_keys() } else { vec![key(task)] };
        (0..tasks).map(|task| Self { connection: connection.clone(), deadline, verb, keys: keys(task) }).collect()
    }

    async fn query<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T> {
        self.deadline.bound(command.query_async(&mut self.connection)).await
    }
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> Operation for Bare<C> {
    async fn run(&mut self) -> Result<()> {
        match self.verb {
            Verb::Get => {
                let value: Option<Bytes> = self.query(cmd("GET").arg(&self.keys[0])).await?;
                ensure!(value.is_some_and(|value| value.len() == VALUE.len()), "another value");
            }
            Verb::Set => self.query(cmd("SET").arg(&self.keys[0]).arg(&VALUE)).await?,
            Verb::Mget => {
                let values: Vec<Option<Bytes>> = self.query(cmd("MGET").arg(&self.keys)).await?;
                ensure!(values.len() == MANY && values.iter().all(Option::is_some), "other values");
            }
        }
        Ok(())
    }
}

/// A pipeline on whatever takes one.
pub(super) struct Batch<C> {
    connection: C,
    deadline: Deadline,
    pipeline: Pipeline,
}

impl<C: ConnectionLike + Send> Batch<C> {
    pub(super) fn new(connection: C, deadline: Deadline) -> Self {
        let mut pipeline = pipe();
        for key in many_keys() {
            pipeline.get(key);
        }
        Self { connection, deadline, pipeline }
    }
}

impl<C: ConnectionLike + Send + 'static> Operation for Batch<C> {
    async fn run(&mut self) -> Result<()> {
        let call = self.pipeline.query_async(&mut self.connection);
        let values: Vec<Bytes> = self.deadline.bound(call).await?;
        ensure!(values.len() == MANY && values.iter().all(|value| value.len() == VALUE.len()), "other values");
        Ok(())
    }
}
