use crate::{corrupt, state};
use kv_core::Result;
use lz4_flex::block::{compress_into_with_table, decompress_into, get_maximum_output_size};

/// The longest match that a byte of its length stands for.
const MAX_RATIO: usize = 255;

/// Appends a value's length and its block, as long as all that is written is not longer than this; says whether it is.
pub(crate) fn write(plain: &[u8], written: &mut Vec<u8>, limit: usize) -> bool {
    let Ok(length) = u32::try_from(plain.len()) else { return false };
    written.extend_from_slice(&length.to_le_bytes());
    let start = written.len();
    written.resize(start + get_maximum_output_size(plain.len()), 0);
    let block = state::with(|state| compress_into_with_table(plain, &mut written[start..], &mut state.lz4));
    let Ok(block) = block else { return false };
    written.truncate(start + block);
    written.len() <= limit
}

pub(crate) fn read(body: &[u8], max: usize) -> Result<Vec<u8>> {
    let (length, block) = body.split_first_chunk().ok_or_else(|| corrupt("ends within the length"))?;
    let length = u32::from_le_bytes(*length) as usize;
    if length > max {
        return Err(corrupt("larger than max_decompressed"));
    }
    if length > block.len().saturating_mul(MAX_RATIO) {
        return Err(corrupt("claims more than lz4 can hold"));
    }
    let mut plain = vec![0; length];
    match decompress_into(block, &mut plain) {
        Ok(found) if found == length => Ok(plain),
        _ => Err(corrupt("not a whole lz4 block")),
    }
}

/// What the first bytes say of the length.
pub(crate) fn claimed(body: &[u8]) -> usize {
    body.first_chunk().map_or(0, |length| u32::from_le_bytes(*length) as usize)
}
