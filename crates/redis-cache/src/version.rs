use crate::Cache;
use std::{fmt, sync::OnceLock};

/// What tells which of two values of a key is the later one.
pub(crate) struct Versions<V>(OnceLock<Version<V>>);

type Version<V> = Box<dyn Fn(&V) -> u64 + Send + Sync>;

/// As it stands right behind the header, before the tags.
///
/// | byte | holds |
/// |---|---|
/// | 0 | 2, for a version |
/// | 1 | 8 |
/// | 2..10 | the version, big-endian |
const VERSION: u8 = 2;
const HEADER: usize = crate::entry::HEADER;

impl<V> Cache<V> {
    /// From now on entries carry the version of their value, such as a row's revision, and [`insert`](Self::insert) replaces none of a later
    /// version.
    ///
    /// For writers that may come to the database in one order and to the cache in the other. What is not there has no version: after an
    /// invalidation, or the TTL, any may be inserted. To be called once, before the first entry is stored; later calls change nothing.
    #[must_use]
    pub fn versioned_by(self, version: impl Fn(&V) -> u64 + Send + Sync + 'static) -> Self {
        let _ = self.inner.remote.versions.0.set(Box::new(version));
        self
    }
}

impl<V> Versions<V> {
    /// What stands in the entry of a value.
    pub(crate) fn of(&self, value: Option<&V>) -> Option<[u8; 10]> {
        let version = self.0.get()?(value?).to_be_bytes();
        let mut bytes = [VERSION, 8, 0, 0, 0, 0, 0, 0, 0, 0];
        bytes[2..].copy_from_slice(&version);
        Some(bytes)
    }
}

/// The version in an entry.
pub(crate) fn version(entry: &[u8]) -> Option<u64> {
    let [0xC1, 1, _, _, _, _, low, high, ..] = entry else { return None };
    if u16::from_le_bytes([*low, *high]) < 10 {
        return None;
    }
    let [VERSION, 8, version @ ..] = entry.get(HEADER..HEADER + 10)? else { return None };
    version.try_into().ok().map(u64::from_be_bytes)
}

impl<V> Default for Versions<V> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

impl<V> fmt::Debug for Versions<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Versions").field(&self.0.get().is_some()).finish()
    }
}
