use crate::corrupt;
use flate2::Crc;
use kv_core::Result;

pub(crate) const LENGTH: usize = 4;

/// The CRC-32 of a value, as gzip has it.
pub(crate) fn of(plain: &[u8]) -> [u8; LENGTH] {
    let mut sum = Crc::new();
    sum.update(plain);
    sum.sum().to_le_bytes()
}

/// The value, if it is the one that was summed.
pub(crate) fn verified(plain: Vec<u8>, sum: [u8; LENGTH]) -> Result<Vec<u8>> {
    if of(&plain) == sum { Ok(plain) } else { Err(corrupt("not what the checksum says")) }
}

/// What a sum stands before, where the format has none of its own.
#[cfg(any(feature = "lz4", feature = "zstd"))]
pub(crate) fn behind(summed: &[u8], read: impl FnOnce(&[u8]) -> Result<Vec<u8>>) -> Result<Vec<u8>> {
    let (&sum, body) = summed.split_first_chunk().ok_or_else(|| corrupt("ends within the checksum"))?;
    verified(read(body)?, sum)
}
