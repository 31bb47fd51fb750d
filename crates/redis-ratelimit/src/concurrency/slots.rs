use super::{
    options::ConcurrencyOptions,
    script::{ENTER, LEAVE, STAY},
    slot::SlotRelease,
};
use kv_core::{Keyspace, KvStore, KvStoreExt, Limits, Reply, Result};
use std::{sync::Arc, time::Duration};
use tokio::runtime::Handle;

/// The scripts, on the store.
#[derive(Debug)]
pub(super) struct Slots {
    pub(super) store: Arc<dyn KvStore>,
    pub(super) keys: Keyspace,
    pub(super) limit: u32,
    pub(super) options: ConcurrencyOptions,
    pub(super) runtime: Handle,
}

impl Slots {
    /// How many are free after that; or how many are, and when the next lease ends.
    pub(super) async fn enter(&self, key: &str, holder: &str) -> Result<std::result::Result<u64, (u64, Duration)>> {
        let lease = Limits::ttl_millis(ENTER.name(), self.options.lease)?;
        let args = [holder.into(), lease.into(), i64::from(self.limit).into()];
        let scripts = self.store.require_scripts(ENTER.name())?;
        let number = |reply: Reply| Ok(u64::try_from(reply.into_int(ENTER.name())?).unwrap_or_default());
        match scripts.run(&ENTER, &[key], &args).await? {
            Reply::Array(full) => {
                let mut full = full.into_iter().map(number);
                let mut next = || full.next().unwrap_or(Ok(0));
                Ok(Err((next()?, Duration::from_millis(next()?))))
            }
            free => Ok(Ok(number(free)?)),
        }
    }

    pub(super) async fn stay(&self, key: &str, holder: &str) -> Result<bool> {
        let lease = Limits::ttl_millis(STAY.name(), self.options.lease)?;
        let scripts = self.store.require_scripts(STAY.name())?;
        Ok(scripts.run(&STAY, &[key], &[holder.into(), lease.into()]).await?.into_int(STAY.name())? == 1)
    }

    pub(super) async fn leave(&self, key: &str, holder: &str) -> Result<SlotRelease> {
        let scripts = self.store.require_scripts(LEAVE.name())?;
        let left = scripts.run(&LEAVE, &[key], &[holder.into()]).await?.into_int(LEAVE.name())?;
        Ok(if left == 1 { SlotRelease::Released } else { SlotRelease::LeaseOver })
    }
}
