use crate::CompressOptions;
use flate2::{Compression, bufread::GzDecoder, write::GzEncoder};
use kv_core::{Error, ErrorKind, Result, Transform};
use std::io::{Read, Write};

/// Compresses bytes as one gzip member (RFC 1952), at a level from 1 to 9.
pub fn gzip(plain: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 2 + 32), Compression::new(level.clamp(1, 9)));
    // Writing to a vector cannot fail.
    let _ = encoder.write_all(plain);
    encoder.finish().unwrap_or_default()
}

/// Decompresses one gzip member of at most `max` bytes.
///
/// [`ErrorKind::Corrupt`] for anything else: truncated, damaged, larger, a second member, bytes behind the end. Memory grows with what is
/// really decompressed, never by what the input claims.
pub fn gunzip(compressed: &[u8], max: usize) -> Result<Vec<u8>> {
    let corrupt = |detail| Error::new(ErrorKind::Corrupt, "gunzip").with_detail(detail);
    let mut decoder = GzDecoder::new(compressed);
    let mut plain = Vec::with_capacity(compressed.len().saturating_mul(4).min(max).min(1 << 20));
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    decoder.by_ref().take(limit).read_to_end(&mut plain).map_err(|_| corrupt("not a whole gzip member"))?;
    if plain.len() > max {
        return Err(corrupt("larger than max_decompressed"));
    }
    if !decoder.into_inner().is_empty() {
        return Err(corrupt("bytes behind the end"));
    }
    Ok(plain)
}

/// gzip as a [`Transform`], for whatever writes through scripts: id 1.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gzip {
    options: CompressOptions,
}

impl Gzip {
    /// The id that says a value is gzip.
    pub const ID: u8 = 1;

    /// A transform; [`ErrorKind::InvalidConfig`] names the option that cannot be.
    pub fn new(options: CompressOptions) -> Result<Self> {
        options.check()?;
        Ok(Self { options })
    }
}

impl Transform for Gzip {
    fn id(&self) -> u8 {
        Self::ID
    }

    /// The value as gzip, unless it is below the threshold, saves too little, or could not be read back.
    fn apply(&self, plain: &[u8]) -> Result<Option<Vec<u8>>> {
        if plain.len() < self.options.threshold || plain.len() > self.options.max_decompressed {
            return Ok(None);
        }
        let compressed = gzip(plain, self.options.level);
        let worth = plain.len() as u128 * u128::from(100 - self.options.min_saving_percent) / 100;
        Ok((compressed.len() as u128 <= worth && compressed.len() < plain.len()).then_some(compressed))
    }

    fn revert(&self, transformed: &[u8]) -> Result<Vec<u8>> {
        gunzip(transformed, self.options.max_decompressed)
    }
}
