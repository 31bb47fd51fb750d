//! The store, as patterns hold it.

use std::sync::Arc;

use anyhow::{Result, ensure};
use kv_redis::kv_core::KvStore;

use super::{MANY, VALUE, Verb, key, many_keys};
use crate::load::Operation;

/// Calls one by one.
pub(super) struct Ours {
    store: Arc<dyn KvStore>,
    verb: Verb,
    keys: Vec<String>,
}

impl Ours {
    /// One for each task, on the same store.
    pub(super) fn all(store: &Arc<dyn KvStore>, verb: Verb, tasks: usize) -> Vec<Self> {
        let keys = |task| if matches!(verb, Verb::Mget) { many_keys() } else { vec![key(task)] };
        (0..tasks).map(|task| Self { store: store.clone(), verb, keys: keys(task) }).collect()
    }
}

impl Operation for Ours {
    async fn run(&mut self) -> Result<()> {
        match self.verb {
            Verb::Get => {
                let value = self.store.get(&self.keys[0]).await?;
                ensure!(value.is_some_and(|value| value.len() == VALUE.len()), "another value");
            }
            Verb::Set => {
                let written = self.store.set(&self.keys[0], &VALUE, Default::default()).await?;
                ensure!(written, "nothing is written");
            }
            Verb::Mget => {
                let keys: Vec<&str> = self.keys.iter().map(String::as_str).collect();
                let values = self.store.mget(&keys).await?;
                ensure!(values.len() == MANY && values.iter().all(Option::is_some), "other values");
            }
        }
        Ok(())
    }
}

/// Writes what is read later.
pub(super) async fn fill(store: &dyn KvStore, tasks: usize) -> Result<()> {
    for task in 0..tasks.max(MANY) {
        store.set(&key(task), &VALUE, Default::default()).await?;
    }
    Ok(())
}
