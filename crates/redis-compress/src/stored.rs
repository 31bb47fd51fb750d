//! What stands in Redis for a value.

use crate::{Compressor, Format, corrupt, gzip};
use bytes::Bytes;
use kv_core::{Error, Result};

/// Three bytes that begin neither text, nor JSON or gzip; a fourth says what follows: the id of an algorithm, or this.
const MARK: [u8; 3] = [0xF8, 0x4B, 0x5A];
const PLAIN: u8 = 0;

/// The value as it is stored; `None` where that is as it is, so that other clients and counters read it.
///
/// It is marked where it is compressed, and where it would be mistaken for marked or, by a reader of legacy values, for gzip.
pub(crate) fn write(plain: &[u8], compressor: &Compressor) -> Result<Option<Vec<u8>>> {
    let options = compressor.options();
    if options.format == Format::Gzip {
        if plain.len() > options.max_decompressed {
            let detail = format!("value of {} bytes, max_decompressed {}", plain.len(), options.max_decompressed);
            return Err(Error::invalid_input("compress", detail));
        }
        return Ok(Some(gzip::gzip(plain, options.written_level())));
    }
    Ok(match compressor.shrink(plain, &MARK) {
        None if plain.starts_with(&MARK) || plain.starts_with(&gzip::MAGIC) => {
            Some([&MARK[..], &[PLAIN], plain].concat())
        }
        compressed => compressed,
    })
}

/// The value behind what is stored.
pub(crate) fn read(stored: Bytes, compressor: &Compressor) -> Result<Bytes> {
    let options = compressor.options();
    let is_bare = options.format == Format::Gzip;
    if let Some(frame) = stored.strip_prefix(&MARK) {
        return match frame.first() {
            Some(&PLAIN) => Ok(stored.slice(MARK.len() + 1..)),
            _ => compressor.expand(frame).map(Bytes::from),
        };
    }
    if (is_bare || options.read_legacy) && stored.starts_with(&gzip::MAGIC) {
        return gzip::gunzip(&stored, options.max_decompressed).map(Bytes::from);
    }
    if is_bare && !options.read_legacy {
        return Err(corrupt("not gzip, and read_legacy is off"));
    }
    Ok(stored)
}

/// How many bytes [`write`] has to look at.
pub(crate) fn work_to_write(plain: &[u8], compressor: &Compressor) -> usize {
    let options = compressor.options();
    if options.format == Format::Gzip || compressor.takes(plain.len()) { plain.len() } else { 0 }
}

/// How many bytes [`read`] has to make, at most.
pub(crate) fn work_to_read(stored: &[u8], compressor: &Compressor) -> usize {
    let options = compressor.options();
    match stored.strip_prefix(&MARK) {
        Some(frame) => compressor.claimed(frame),
        None if options.format == Format::Gzip || options.read_legacy => gzip::claimed(stored),
        None => 0,
    }
    .min(options.max_decompressed)
}
