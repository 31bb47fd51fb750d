use kv_core::{Error, Result};

/// What is compressed, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompressOptions {
    /// gzip's level, 1 (fast) to 9 (small). Default: 6.
    pub level: u32,
    /// Values below this size, in bytes, are left as they are. Default: 1 KiB.
    pub threshold: usize,
    /// By how many percent a value must shrink to be kept compressed, 0 to 99. Default: 10.
    pub min_saving_percent: u32,
    /// The largest value that is decompressed, in bytes. Default: 64 MiB.
    pub max_decompressed: usize,
}

impl Default for CompressOptions {
    fn default() -> Self {
        Self { level: 6, threshold: 1024, min_saving_percent: 10, max_decompressed: 64 << 20 }
    }
}

impl CompressOptions {
    /// Sets [`level`](Self::level).
    #[must_use]
    pub fn level(mut self, level: u32) -> Self {
        self.level = level;
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

    pub(crate) fn check(&self) -> Result<()> {
        let invalid = |detail| Err(Error::invalid_config("compress", detail));
        if !(1..=9).contains(&self.level) {
            return invalid("level must be from 1 to 9");
        }
        if self.min_saving_percent > 99 {
            return invalid("min_saving_percent must be at most 99");
        }
        if self.max_decompressed < self.threshold {
            return invalid("max_decompressed must not be below threshold");
        }
        Ok(())
    }
}
