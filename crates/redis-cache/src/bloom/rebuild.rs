use super::{
    Inner,
    script::{BEGIN, COMMIT},
};
use kv_core::{Arg, Error, ErrorKind, KvStoreExt, Result, ScriptCall};
use std::sync::Arc;

/// A filter that is being filled beside the one in force; see [`BloomGuard::rebuild`](crate::BloomGuard::rebuild).
///
/// Dropped, or left alone for 10 minutes, it is gone, and the one in force stays.
#[derive(Debug)]
#[must_use = "it is in force once it is committed"]
pub struct BloomRebuild {
    inner: Arc<Inner>,
    token: [u8; 16],
}

/// How long what is half built lives after the last insertion of its builder.
const PAUSE_MILLIS: i64 = 600_000;

impl BloomRebuild {
    pub(super) async fn begin(inner: Arc<Inner>) -> Result<Self> {
        let token: [u8; 16] = rand::random();
        let head = [&b"bloom\0\0\x01"[..], &token, &[0; 40]].concat();
        let args = [Arg::Int(inner.shape.page_bytes() as i64), Arg::Bytes(&head), Arg::Int(PAUSE_MILLIS)];
        let keys: Vec<[&str; 1]> = inner.next.iter().map(|page| [page.as_str()]).collect();
        let calls: Vec<_> = keys.iter().map(|keys| ScriptCall { keys, args: &args }).collect();
        for reply in inner.store.require_scripts("bloom")?.run_many(&BEGIN, &calls).await? {
            reply?;
        }
        Ok(Self { inner, token })
    }

    /// Inserts a batch of ids. One round trip; some thousand at a time are a good size.
    ///
    /// On an error some may not be inserted: insert them again. [`Rejected`](ErrorKind::Rejected) if this rebuild is gone, or another one
    /// took its place: begin anew.
    pub async fn insert(&mut self, ids: &[&str]) -> Result<()> {
        let places: Vec<_> = ids.iter().map(|id| self.inner.shape.place(id)).collect();
        if self.inner.write(&places, &self.token, PAUSE_MILLIS).await? { Ok(()) } else { Err(gone()) }
    }

    /// Puts the new filter in the place of the one in force, in one step. One round trip.
    ///
    /// [`Rejected`](ErrorKind::Rejected) if it is gone, or another rebuild took its place. With an error that says it may have been executed,
    /// either filter is in force, and both know what was inserted since.
    pub async fn commit(self) -> Result<()> {
        let inner = &self.inner;
        let keys: Vec<&str> = inner.pages.iter().chain(&inner.next).map(String::as_str).collect();
        let args = [Arg::Int(inner.shape.page_bytes() as i64), Arg::Bytes(&self.token), Arg::Int(inner.ttl)];
        match inner.store.require_scripts("bloom")?.run(&COMMIT, &keys, &args).await?.into_int("bloom")? {
            1 => Ok(()),
            _ => Err(gone()),
        }
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::Rejected, "bloom").with_detail("the rebuild is gone, or another one took its place")
}
