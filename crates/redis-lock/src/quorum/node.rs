use super::{
    script::QUORUM_RELEASE,
    sweeper::{Leftover, Sweeper},
};
use crate::script::EXTEND;
use kv_core::{Arg, KvStore, KvStoreExt, Limits, Result};
use std::{sync::Arc, time::Duration};
use tokio::runtime::Handle;

/// One of the independent servers.
#[derive(Debug)]
pub(crate) struct Node {
    store: Arc<dyn KvStore>,
    sweeper: Sweeper,
}

impl Node {
    pub(crate) fn new(store: Arc<dyn KvStore>, runtime: &Handle) -> Result<Self> {
        store.require_scripts("quorum lock")?;
        let sweeper = Sweeper::start(store.clone(), runtime);
        Ok(Self { store, sweeper })
    }

    pub(crate) async fn take(&self, key: &str, token: &str, lease: Duration) -> Result<bool> {
        self.store.set_nx_px(key, token.as_bytes(), lease).await
    }

    pub(crate) async fn extend(&self, key: &str, token: &str, lease: Duration) -> Result<i64> {
        let args = [token.into(), Arg::Int(Limits::ttl_millis(EXTEND.name(), lease)?)];
        self.store.require_scripts(EXTEND.name())?.run(&EXTEND, &[key], &args).await?.into_int(EXTEND.name())
    }

    pub(crate) async fn release(&self, key: &str, token: &str) -> Result<i64> {
        let scripts = self.store.require_scripts(QUORUM_RELEASE.name())?;
        scripts.run(&QUORUM_RELEASE, &[key], &[token.into()]).await?.into_int(QUORUM_RELEASE.name())
    }

    /// Leaves what may be ours here to the background.
    pub(crate) fn sweep(&self, leftover: Leftover) {
        self.sweeper.take(leftover);
    }
}
