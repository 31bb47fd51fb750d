//! A master, killed under its sentinels.

use std::time::Instant;

use anyhow::{Result, ensure};
use kv_redis::RedisStore;
use kv_redis::kv_core::KvStore;
use xtask::fixture::Sentinel;

use super::{LIMIT, PAUSE, first_success, runtime};
use crate::timing::Round;

pub(super) fn start() -> Result<Round> {
    let (runtime, group) = (runtime()?, Sentinel::start()?);
    let store = runtime.block_on(RedisStore::connect(&group.url()))?;
    Ok(Box::new(move || {
        let old = group.master()?;
        group.servers()[old].kill()?;
        let killed = Instant::now();
        let calls = store.clone();
        let written = first_success(&runtime, move || {
            let store = calls.clone();
            async move { store.set("back", b"1", Default::default()).await }
        });
        while !group.master().is_ok_and(|master| master != old) {
            ensure!(killed.elapsed() < LIMIT, "no failover within {LIMIT:?}");
            std::thread::sleep(PAUSE);
        }
        let agreed = Instant::now();
        let written = runtime.block_on(written)??;
        group.servers()[old].restart()?;
        group.wait_ok()?;
        Ok(vec![
            ("kv-redis, from the kill", written - killed),
            ("kv-redis, from the sentinels agreeing", written.saturating_duration_since(agreed)),
            ("the sentinels agree, from the kill", agreed - killed),
        ])
    }))
}
