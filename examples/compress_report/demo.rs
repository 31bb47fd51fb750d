//! A keyspace to look at, and what has to come out.

use crate::{measured::Measured, sample::Kind};
use anyhow::{Context, Result, ensure};
use kv_core::KvStore;
use serde_json::json;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// Listings, which are large; sessions, which are small and alike; thumbnails, which are compressed already.
pub(crate) async fn fill(store: &dyn KvStore) -> Result<()> {
    for id in 0..300u32 {
        let item = |at: u32| {
            let mixed = (id * 100 + at).wrapping_mul(0x9E37_79B1);
            json!({"sku": format!("sku-{mixed}"), "price": {"amount": mixed % 90_000, "currency": "EUR"}, "stock": at * 7 % 40})
        };
        let listing: Vec<_> = (0..40).map(item).collect();
        let session = json!({
            "user_id": id.wrapping_mul(0x9E37_79B1), "locale": "en-GB", "theme": "dark", "signed_in": true,
            "permissions": ["read", "write"], "csrf_token": format!("{:016x}", rand::random::<u64>()),
            "created_at": format!("2026-02-{:02}T08:{:02}:00Z", id % 28 + 1, id % 60),
        });
        let thumbnail: Vec<u8> = std::iter::repeat_with(rand::random).take(3000).collect();
        let entries = [
            (format!("listing:{id}"), serde_json::to_vec(&listing)?),
            (format!("session:{id}"), serde_json::to_vec(&session)?),
            (format!("thumbnail:{id}"), thumbnail),
        ];
        let entries: Vec<_> = entries.iter().map(|(key, value)| (key.as_str(), value.as_slice())).collect();
        store.mset(&entries, Some(MINUTE)).await?;
    }
    Ok(())
}

/// What holds on every machine: sizes, and no times.
pub(crate) fn check(kind: &Kind, measured: &[Measured]) -> Result<()> {
    let stored = |name: &str| {
        let found = measured.iter().find(|measured| measured.name == name);
        found.map(|measured| measured.stored).with_context(|| format!("{name} is not among {}", kind.pattern))
    };
    let bare = kind.bytes();
    match kind.pattern.as_str() {
        "listing:*" => {
            ensure!(stored("gzip 5")? * 2 < bare, "JSON to less than half");
            ensure!(stored("gzip 5")? < stored("gzip 1")? && stored("gzip 1")? < bare, "a level is worth something");
        }
        "session:*" => {
            ensure!(stored("gzip 9")? == bare, "too small to compress");
            ensure!(stored("zstd 3, dictionary")? * 3 < bare * 2, "unless what they share is known");
        }
        "thumbnail:*" => ensure!(measured.iter().all(|measured| measured.stored == bare), "noise stays as it is"),
        _ => {}
    }
    Ok(())
}
