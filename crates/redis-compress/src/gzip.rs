mod header;

use crate::{checksum, corrupt, state};
use flate2::{FlushCompress, FlushDecompress, Status};
use kv_core::Result;

/// What a gzip member begins with; the third byte is the one method there is.
pub(crate) const MAGIC: [u8; 3] = [0x1F, 0x8B, 8];

/// CRC and length behind the data.
const TRAILER: usize = 8;

/// DEFLATE's shortest code for its longest match: 258 bytes in two bits.
const MAX_RATIO: usize = 1032;

/// Compresses bytes as one gzip member (RFC 1952), at a level from 1 to 9; beyond them, at the nearest.
///
/// It works on the calling thread, and keeps a third of a MiB there for the next time.
pub fn gzip(plain: &[u8], level: u32) -> Vec<u8> {
    let mut member = Vec::new();
    write(plain, level.clamp(1, 9), &mut member, usize::MAX);
    member
}

/// Appends a member, as long as all that is written is not longer than this; says whether it is.
pub(crate) fn write(plain: &[u8], level: u32, written: &mut Vec<u8>, limit: usize) -> bool {
    // The length that the encoder takes at a time has 32 bits.
    const STEP: usize = 1 << 30;
    state::with(|state| {
        let encoder = state.gzip(level);
        written.reserve_exact((plain.len() / 2 + 64).min(limit.saturating_sub(written.len())));
        loop {
            let rest = &plain[usize::try_from(encoder.total_in()).unwrap_or(usize::MAX).min(plain.len())..];
            let (step, flush) = match rest.get(..STEP) {
                Some(step) => (step, FlushCompress::None),
                None => (rest, FlushCompress::Finish),
            };
            match encoder.compress_vec(step, written, flush) {
                Ok(Status::StreamEnd) => return written.len() <= limit,
                Ok(_) if written.len() < written.capacity() => {}
                Ok(_) if written.len() < limit => {
                    written.reserve_exact((written.len().max(64)).min(limit - written.len()));
                }
                _ => return false,
            }
        }
    })
}

/// Decompresses one gzip member of at most `max` bytes, and of less than 4 GiB.
///
/// [`ErrorKind::Corrupt`](kv_core::ErrorKind::Corrupt) for anything else: truncated, damaged, larger, a second member, bytes behind the end. Memory
/// grows with what is really decompressed, never by what the input claims.
pub fn gunzip(compressed: &[u8], max: usize) -> Result<Vec<u8>> {
    let (deflated, trailer) = header::skip(compressed)
        .and_then(|body| body.split_last_chunk::<TRAILER>())
        .ok_or_else(|| corrupt("not a whole gzip member"))?;
    let [c0, c1, c2, c3, l0, l1, l2, l3] = *trailer;
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    if length > max {
        return Err(corrupt("larger than max_decompressed"));
    }
    if length > deflated.len().saturating_mul(MAX_RATIO) {
        return Err(corrupt("claims more than gzip can hold"));
    }
    let plain = inflate(deflated, length)?;
    if plain.len() != length {
        return Err(corrupt("less than it says"));
    }
    checksum::verified(plain, [c0, c1, c2, c3])
}

/// Decompresses as far as the claimed length, with room for it as it turns out to be true.
fn inflate(deflated: &[u8], length: usize) -> Result<Vec<u8>> {
    // More than most values shrink by, and nothing that hurts where the claim is false.
    const BELIEVED_RATIO: usize = 16;
    // The decoder is slow where less room is left than this.
    const SLACK: usize = 264;
    state::with(|state| {
        let decoder = state.inflate();
        let mut plain = Vec::with_capacity(length.min(deflated.len().saturating_mul(BELIEVED_RATIO)) + SLACK);
        loop {
            let rest = &deflated[usize::try_from(decoder.total_in()).unwrap_or(usize::MAX).min(deflated.len())..];
            let status = decoder.decompress_vec(rest, &mut plain, FlushDecompress::Finish);
            match status.map_err(|_| corrupt("not a whole gzip member"))? {
                _ if plain.len() > length => return Err(corrupt("more than it says")),
                Status::StreamEnd if decoder.total_in() == deflated.len() as u64 => return Ok(plain),
                Status::StreamEnd => return Err(corrupt("bytes behind the end")),
                _ if plain.len() == plain.capacity() => {
                    plain.reserve_exact(plain.len().min(length - plain.len()) + SLACK);
                }
                _ => return Err(corrupt("not a whole gzip member")),
            }
        }
    })
}

/// What the last bytes say of the length.
pub(crate) fn claimed(member: &[u8]) -> usize {
    member.last_chunk().map_or(0, |length| u32::from_le_bytes(*length) as usize)
}
