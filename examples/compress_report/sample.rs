//! Values from all over a keyspace, by kind of key.

use anyhow::{Context, Result};
use bytes::Bytes;
use kv_core::{Cursor, KvStore};
use std::collections::{BTreeMap, HashSet};

/// Keys looked at in one round trip: enough to be quick, and no pause for anybody else.
const PAGE: u32 = 200;

/// More than this is not kept in memory at once.
const MAX_BYTES: usize = 256 << 20;

/// Values under keys of one pattern.
pub(crate) struct Kind {
    pub(crate) pattern: String,
    pub(crate) values: Vec<Bytes>,
}

impl Kind {
    pub(crate) fn bytes(&self) -> usize {
        self.values.iter().map(Bytes::len).sum()
    }

    pub(crate) fn average(&self) -> usize {
        self.bytes() / self.values.len()
    }
}

/// As many strings as asked for. SCAN walks along a hash table, so the first that come are a fair sample of all.
pub(crate) async fn kinds(store: &dyn KvStore, prefix: &str, keys: usize) -> Result<Vec<Kind>> {
    let scan = store.scan().context("this store cannot be scanned")?;
    let (mut kinds, mut seen) = (BTreeMap::<String, Vec<Bytes>>::new(), HashSet::new());
    let (mut cursor, mut bytes) = (Some(Cursor::start()), 0);
    while let Some(from) = cursor.filter(|_| seen.len() < keys && bytes < MAX_BYTES) {
        let page = scan.scan_page(prefix, &from, PAGE).await?;
        let mut fresh = page.keys;
        fresh.retain(|key| seen.insert(key.clone()));
        fresh.truncate(keys - (seen.len() - fresh.len()).min(keys));
        let names: Vec<_> = fresh.iter().map(String::as_str).collect();
        // What is no string, or gone by now, is nothing.
        for (key, value) in fresh.iter().zip(store.mget(&names).await?) {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                bytes += value.len();
                kinds.entry(pattern(key)).or_default().push(value);
            }
        }
        cursor = page.next;
    }
    Ok(kinds.into_iter().map(|(pattern, values)| Kind { pattern, values }).collect())
}

/// The key with what looks like an id left out.
fn pattern(key: &str) -> String {
    let is_id = |part: &str| part.bytes().any(|byte| byte.is_ascii_digit());
    let parts = key.split(':').map(|part| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
        Some(_) => "{*}",
        None if is_id(part) => "*",
        None => part,
    });
    parts.collect::<Vec<_>>().join(":")
}
