use crate::reaper::Reaper;
use kv_core::{Arg, KvStore, KvStoreExt, Result, Script};
use std::sync::Arc;

/// What managers and guards share: the store, and the task that cleans up.
#[derive(Debug)]
pub(crate) struct Backend {
    store: Arc<dyn KvStore>,
    pub(crate) reaper: Reaper,
}

impl Backend {
    pub(crate) fn new(store: Arc<dyn KvStore>) -> Result<Self> {
        store.require_scripts("lock")?;
        let reaper = Reaper::start(store.clone())?;
        Ok(Self { store, reaper })
    }

    pub(crate) async fn run(&self, script: &Script, keys: &[&str], args: &[Arg<'_>]) -> Result<i64> {
        self.store.require_scripts(script.name())?.run(script, keys, args).await?.into_int(script.name())
    }
}
