use crate::Algorithm;
#[cfg(feature = "zstd")]
use crate::Dictionary;
use kv_core::{Error, Result};

/// What is compressed, how, and what is read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompressOptions {
    /// How values are written; all that are compiled in are read. Default: gzip.
    pub algorithm: Algorithm,
    /// 1 (fast) to the algorithm's highest (small); `None` is 5 for gzip and 3 for zstd. Default: `None`.
    pub level: Option<u32>,
    /// Values below this size, in bytes, are left as they are; `usize::MAX` leaves all. Default: 1 KiB.
    pub threshold: usize,
    /// By how many percent a value must shrink to be kept compressed, 0 to 99. Default: 10.
    pub min_saving_percent: u32,
    /// The largest value that is compressed and decompressed, in bytes, 1 to 4 GiB - 1. Default: 64 MiB.
    #[doc(alias = "bomb")]
    pub max_decompressed: usize,
    /// Values from this size, in bytes, are compressed and decompressed on tokio's threads for blocking work, as many at a time as
    /// there are processors; `usize::MAX` does all on the calling task. The store alone. Default: 128 KiB.
    #[doc(alias = "spawn_blocking")]
    pub offload_from: usize,
    /// What stands around compressed values. The store alone. Default: [`Format::Marked`].
    pub format: Format,
    /// Whether values of others are read that are gzip by their first three bytes, and, with [`Format::Gzip`], those that are not. A
    /// foreign value that is meant to be gzip is unpacked as well. The store alone. Default: no.
    #[doc(alias = "migration")]
    pub read_legacy: bool,
    /// What zstd knows beforehand: the first one is written with, all are read with. Default: none.
    #[cfg(feature = "zstd")]
    pub dictionaries: Vec<Dictionary>,
}

/// What stands around compressed values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Four bytes that no other client writes by chance, before compressed values only.
    #[default]
    Marked,
    /// Nothing: every value, large or small, is one gzip member, for clients in all languages and `redis-cli --raw GET key | gunzip`.
    /// Threshold and saving are not asked; counters do not count in it.
    #[doc(alias = "headerless")]
    Gzip,
}

impl Default for CompressOptions {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::Gzip,
            level: None,
            threshold: 1024,
            min_saving_percent: 10,
            max_decompressed: 64 << 20,
            offload_from: 128 << 10,
            format: Format::Marked,
            read_legacy: false,
            #[cfg(feature = "zstd")]
            dictionaries: Vec::new(),
        }
    }
}

impl CompressOptions {
    /// Sets [`algorithm`](Self::algorithm).
    #[must_use]
    pub fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// Sets [`level`](Self::level).
    #[must_use]
    pub fn level(mut self, level: u32) -> Self {
        self.level = Some(level);
        self
    }

    /// Sets [`threshold`](Self::threshold).
    #[must_use]
    pub fn threshold(mut self, bytes: usize) -> Self {
        self.threshold = bytes;
        self
    }

    /// Sets [`min_saving_percent`](Self::min_saving_percent).
    #[must_use]
    pub fn min_saving_percent(mut self, percent: u32) -> Self {
        self.min_saving_percent = percent;
        self
    }

    /// Sets [`max_decompressed`](Self::max_decompressed).
    #[must_use]
    pub fn max_decompressed(mut self, bytes: usize) -> Self {
        self.max_decompressed = bytes;
        self
    }

    /// Sets [`offload_from`](Self::offload_from).
    #[must_use]
    pub fn offload_from(mut self, bytes: usize) -> Self {
        self.offload_from = bytes;
        self
    }

    /// Sets [`format`](Self::format).
    #[must_use]
    pub fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// Sets [`read_legacy`](Self::read_legacy).
    #[must_use]
    pub fn read_legacy(mut self, read: bool) -> Self {
        self.read_legacy = read;
        self
    }

    /// Sets [`dictionaries`](Self::dictionaries).
    #[cfg(feature = "zstd")]
    #[must_use]
    pub fn dictionaries(mut self, dictionaries: impl IntoIterator<Item = Dictionary>) -> Self {
        self.dictionaries = dictionaries.into_iter().collect();
        self
    }

    /// The level that is written with.
    pub(crate) fn written_level(&self) -> u32 {
        self.level.unwrap_or(self.algorithm.levels().0)
    }

    pub(crate) fn check(&self) -> Result<()> {
        let invalid = |detail: String| Err(Error::invalid_config("compress", detail));
        let (_, highest) = self.algorithm.levels();
        if let Some(level) = self.level {
            if highest == 0 {
                return invalid("level must not be set, the algorithm has none".into());
            }
            if !(1..=highest).contains(&level) {
                return invalid(format!("level must be from 1 to {highest}"));
            }
        }
        if self.min_saving_percent > 99 {
            return invalid("min_saving_percent must be at most 99".into());
        }
        if self.max_decompressed == 0 || u32::try_from(self.max_decompressed).is_err() {
            return invalid("max_decompressed must be from 1 to 4 GiB - 1".into());
        }
        if self.format == Format::Gzip && self.algorithm != Algorithm::Gzip {
            return invalid("format without marks must have the algorithm gzip".into());
        }
        Ok(())
    }
}
