//! Values in parts: a manifest under the key, which names its parts by a generation drawn for each write.
//!
//! Parts are written first and the manifest last, so that a reader sees all of a write or nothing of it. A part belongs to one
//! write for ever: what a reader puts together is never a mixture, whatever happens meanwhile. It may find that a part is
//! gone, because a later write or a deletion took it; then it begins again with the manifest of that.

mod manifest;
mod options;

pub use options::ChunkOptions;

use crate::{Condition, Error, ErrorKind, Executed, KvStore, Result, SetOptions};
use bytes::{Bytes, BytesMut};
use manifest::{Manifest, Stored, corrupt};
use std::time::Duration;
use tokio::time::Instant;

/// How often a reader begins again because of a later write.
const ATTEMPTS: u32 = 16;

/// How many parts are deleted in one round trip.
const DELETED_PER_TRIP: u64 = 1024;

pub(crate) async fn set<S: KvStore + ?Sized>(store: &S, key: &str, value: &[u8], options: &ChunkOptions) -> Result<()> {
    let limits = store.capabilities().limits;
    options.check(limits)?;
    limits.check_key("set_chunked", key)?;
    let longest = options.longest();
    if value.len() > longest {
        let detail = format!("value of {} bytes, limit {longest}", value.len());
        return Err(Error::invalid_input("set_chunked", detail));
    }
    let began = Instant::now();
    let written = match value.len() > options.part_bytes {
        true => Some(write_parts(store, key, value, options).await?),
        false => None,
    };
    let head = written.map_or_else(|| manifest::whole(value), |manifest| manifest.encode().into());
    // Counted from before the first part, so that none goes before the manifest.
    let outcome = write_head(store, key, &head, || options.ttl.saturating_sub(began.elapsed())).await;
    let leftover = match &outcome {
        Ok(replaced) => *replaced,
        Err(error) if error.executed() == Executed::No => written,
        // The manifest may be there, and then its parts are needed.
        Err(_) => None,
    };
    if let Some(parts) = leftover {
        // What stays goes by its TTL.
        let _ = delete_parts(store, key, parts).await;
    }
    outcome.map(drop).map_err(|error| error.with_operation("set_chunked"))
}

/// Writes what stands under the key, and returns whose parts were needed until then.
///
/// Always on a condition, so that no layer sends it twice: the second time, a later write may have replaced it and deleted its parts.
async fn write_head<S: KvStore + ?Sized>(
    store: &S,
    key: &str,
    head: &[u8],
    left: impl Fn() -> Duration,
) -> Result<Option<Manifest>> {
    let not_written = |error: Error| error.with_executed(Executed::No);
    for _ in 0..ATTEMPTS {
        let (condition, replaced) = match look(store, key).await.map_err(not_written)? {
            Found::Nothing => (Condition::IfAbsent, None),
            Found::Whole => (Condition::IfPresent, None),
            Found::Parts(manifest) => (Condition::IfPresent, Some(manifest)),
        };
        let left = left();
        if left.is_zero() {
            let late = Error::new(ErrorKind::Timeout, "set_chunked").with_detail("writing took longer than the ttl");
            return Err(not_written(late));
        }
        if store.set(key, head, SetOptions::default().ttl(left).condition(condition)).await? {
            return Ok(replaced);
        }
    }
    let contested = Error::new(ErrorKind::Unavailable, "set_chunked").with_detail("the key comes and goes");
    Err(not_written(contested))
}

async fn write_parts<S: KvStore + ?Sized>(
    store: &S,
    key: &str,
    value: &[u8],
    options: &ChunkOptions,
) -> Result<Manifest> {
    let manifest =
        Manifest { generation: rand::random(), part_bytes: options.part_bytes as u64, total: value.len() as u64 };
    let keys: Vec<String> = (0..manifest.count()).map(|part| manifest.part_key(key, part)).collect();
    let entries: Vec<(&str, &[u8])> = keys.iter().map(String::as_str).zip(value.chunks(options.part_bytes)).collect();
    let ttl = Some(options.ttl.saturating_add(options.grace));
    for batch in entries.chunks(options.parts_per_trip) {
        if let Err(error) = store.mset(batch, ttl).await {
            let _ = delete_parts(store, key, manifest).await;
            // Nobody sees parts without a manifest.
            return Err(error.with_operation("set_chunked").with_executed(Executed::No));
        }
    }
    Ok(manifest)
}

pub(crate) async fn get<S: KvStore + ?Sized>(store: &S, key: &str, options: &ChunkOptions) -> Result<Option<Bytes>> {
    options.check(store.capabilities().limits)?;
    let mut incomplete = None;
    for _ in 0..ATTEMPTS {
        let Some(stored) = store.get(key).await.map_err(|error| error.with_operation("get_chunked"))? else {
            return Ok(None);
        };
        let manifest = match manifest::read(stored)? {
            Stored::Whole(value) => return Ok(Some(value)),
            Stored::Parts(manifest) => manifest,
        };
        if manifest.total > options.max_bytes as u64 {
            return Err(corrupt("larger than max_bytes"));
        }
        if incomplete == Some(manifest) {
            return Err(corrupt("a part is missing or of another length"));
        }
        if let Some(value) = read_parts(store, key, manifest, options).await? {
            return Ok(Some(value));
        }
        incomplete = Some(manifest);
    }
    Err(Error::new(ErrorKind::Unavailable, "get_chunked")
        .with_detail("overwritten faster than it can be read")
        .with_executed(Executed::No))
}

/// The value, or `None` when a part is not as the manifest says.
async fn read_parts<S: KvStore + ?Sized>(
    store: &S,
    key: &str,
    manifest: Manifest,
    options: &ChunkOptions,
) -> Result<Option<Bytes>> {
    let mut value = BytesMut::new();
    for first in (0..manifest.count()).step_by(options.parts_per_trip) {
        let parts = first..manifest.count().min(first.saturating_add(options.parts_per_trip as u64));
        let keys: Vec<String> = parts.clone().map(|part| manifest.part_key(key, part)).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let read = store.mget(&keys).await.map_err(|error| error.with_operation("get_chunked"))?;
        for (at, part) in parts.zip(read) {
            let Some(part) = part.filter(|part| part.len() as u64 == manifest.part_len(at)) else { return Ok(None) };
            // Only with a part in hand is the manifest worth the room it asks for.
            value.reserve(manifest.total as usize - value.len());
            value.extend_from_slice(&part);
        }
    }
    Ok((value.len() as u64 == manifest.total).then(|| value.freeze()))
}

pub(crate) async fn delete<S: KvStore + ?Sized>(store: &S, key: &str) -> Result<bool> {
    let found = look(store, key).await.map_err(|error| error.with_operation("delete_chunked"))?;
    // First the manifest, so that no reader finds one without parts.
    let deleted = store.delete(&[key]).await.map_err(|error| error.with_operation("delete_chunked"))?;
    if let Found::Parts(parts) = found {
        // The value is gone; what stays of its parts goes by their TTL.
        let _ = delete_parts(store, key, parts).await;
    }
    Ok(deleted > 0)
}

/// What is there to be replaced.
enum Found {
    Nothing,
    /// A value stored whole, one of another type, or one that does not decode.
    Whole,
    Parts(Manifest),
}

async fn look<S: KvStore + ?Sized>(store: &S, key: &str) -> Result<Found> {
    match store.get(key).await {
        Ok(None) => Ok(Found::Nothing),
        Ok(Some(stored)) => Ok(match manifest::read(stored) {
            Ok(Stored::Parts(manifest)) => Found::Parts(manifest),
            _ => Found::Whole,
        }),
        Err(error) if matches!(error.kind(), ErrorKind::WrongType | ErrorKind::Corrupt) => Ok(Found::Whole),
        Err(error) => Err(error),
    }
}

async fn delete_parts<S: KvStore + ?Sized>(store: &S, key: &str, manifest: Manifest) -> Result<()> {
    for first in (0..manifest.count()).step_by(DELETED_PER_TRIP as usize) {
        let parts = first..manifest.count().min(first + DELETED_PER_TRIP);
        let keys: Vec<String> = parts.map(|part| manifest.part_key(key, part)).collect();
        store.delete(&keys.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    }
    Ok(())
}
