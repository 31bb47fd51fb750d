//! Reads of 100 bytes: one by one, and a hundred at once.

use std::sync::Arc;

use anyhow::{Result, ensure};
use kv_redis::kv_core::KvStore;
use redis::aio::ConnectionLike;
use redis::{Pipeline, cmd, pipe};

use crate::load::Operation;

/// How many commands go in one pipeline.
pub(super) const PIPELINE: usize = 100;

pub(super) fn key(task: usize) -> String {
    format!("bench:{task}")
}

/// redis-rs, and no more than it takes.
pub(super) struct Bare<C> {
    connection: C,
    key: String,
}

impl<C> Bare<C> {
    pub(super) fn new(connection: C, task: usize) -> Self {
        Self { connection, key: key(task) }
    }
}

impl<C: ConnectionLike + Send + 'static> Operation for Bare<C> {
    async fn run(&mut self) -> Result<()> {
        let value: Option<bytes::Bytes> = cmd("GET").arg(&self.key).query_async(&mut self.connection).await?;
        ensure!(value.is_some_and(|value| value.len() == 100), "another value");
        Ok(())
    }
}

/// The store, as patterns hold it.
pub(super) struct Ours {
    store: Arc<dyn KvStore>,
    key: String,
}

impl Ours {
    pub(super) fn new(store: Arc<dyn KvStore>, task: usize) -> Self {
        Self { store, key: key(task) }
    }
}

impl Operation for Ours {
    async fn run(&mut self) -> Result<()> {
        let value = self.store.get(&self.key).await?;
        ensure!(value.is_some_and(|value| value.len() == 100), "another value");
        Ok(())
    }
}

/// A pipeline on whatever takes one.
pub(super) struct Batch<C> {
    connection: C,
    pipeline: Pipeline,
}

impl<C: ConnectionLike + Send> Batch<C> {
    pub(super) async fn new(mut connection: C) -> Result<Self> {
        let mut pipeline = pipe();
        for at in 0..PIPELINE {
            cmd("SET").arg(key(at)).arg(&[7_u8; 100]).exec_async(&mut connection).await?;
            pipeline.get(key(at));
        }
        Ok(Self { connection, pipeline })
    }
}

impl<C: ConnectionLike + Send + 'static> Operation for Batch<C> {
    async fn run(&mut self) -> Result<()> {
        let values: Vec<bytes::Bytes> = self.pipeline.query_async(&mut self.connection).await?;
        ensure!(values.len() == PIPELINE && values.iter().all(|value| value.len() == 100), "other values");
        Ok(())
    }
}
