//! Each guard of the shop off and on: what it keeps away, in numbers.

mod avalanche;
mod breakdown;
mod consistency;
mod penetration;
mod source;
mod writers;

use anyhow::{Result, ensure};
use kv_core::KvStore;
use redis_cache::{Cache, CacheOptions};
use source::Source;
use std::{
    io::{Write, stdout},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// One guard, what befell the shop, and what came of it.
struct Row {
    guard: &'static str,
    /// What is counted.
    what: &'static str,
    off: u64,
    on: u64,
}

/// Where every trial begins with nothing.
struct Ground {
    store: Arc<dyn KvStore>,
    prefix: String,
    trials: AtomicU64,
}

impl Ground {
    fn prefix(&self) -> String {
        format!("{}:{}", self.prefix, self.trials.fetch_add(1, Relaxed))
    }

    fn cache(&self, options: CacheOptions) -> Result<(Cache<u64>, Source)> {
        Ok((Cache::new(self.store.clone(), options.prefix(self.prefix()))?, Source::default()))
    }
}

/// Runs all trials, and prints them as a table. A guard that keeps nothing away is an error.
pub(crate) async fn show(store: Arc<dyn KvStore>, prefix: String) -> Result<()> {
    let ground = Ground { store, prefix, trials: AtomicU64::new(0) };
    let rows = [
        penetration::null_entries(&ground).await?,
        penetration::bloom_filter(&ground).await?,
        breakdown::single_flight(&ground).await?,
        breakdown::early_refresh(&ground).await?,
        breakdown::stale_while_revalidate(&ground).await?,
        avalanche::jitter(&ground).await?,
        avalanche::load_limit(&ground).await?,
        avalanche::stale_if_error(&ground).await?,
        consistency::no_stale_overwrite(&ground).await?,
        consistency::near(&ground).await?,
        writers::fenced_lock(&ground).await?,
        writers::rate_limit(&ground).await?,
        writers::compression()?,
    ];
    let mut text = format!("{:<25}{:>9}{:>9}  of\n", "guard", "off", "on");
    for Row { guard, what, off, on } in rows {
        ensure!(on < off, "{guard}: {on} where there are {off} without it");
        text.push_str(&format!("{guard:<25}{off:>9}{on:>9}  {what}\n"));
    }
    Ok(stdout().write_all(text.as_bytes())?)
}
