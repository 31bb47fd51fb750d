//! What is written without a crate for it.

use std::io::{Read, Write};

use anyhow::{Context, Result, ensure};
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use flate2::{Compress, Compression, Crc, Decompress, FlushCompress, FlushDecompress, Status};

const LEVEL: u32 = 6;

/// An encoder and a decoder for all values.
pub(super) struct Kept {
    encoder: Compress,
    decoder: Decompress,
}

impl Default for Kept {
    fn default() -> Self {
        Self { encoder: Compress::new_gzip(Compression::new(LEVEL), 15), decoder: Decompress::new(false) }
    }
}

impl Kept {
    pub(super) fn compress(&mut self, value: &[u8]) -> Result<Vec<u8>> {
        self.encoder.reset();
        let mut member = Vec::with_capacity(value.len() + 64);
        let status = self.encoder.compress_vec(value, &mut member, FlushCompress::Finish)?;
        ensure!(status == Status::StreamEnd, "no room");
        Ok(member)
    }

    /// A member as it is written here: a header of ten bytes, and room for what is known to come.
    pub(super) fn decompress(&mut self, member: &[u8], size: usize) -> Result<Vec<u8>> {
        self.decoder.reset(false);
        let (deflated, trailer) = member[10..].split_last_chunk::<8>().context("no trailer")?;
        let mut value = Vec::with_capacity(size + 264);
        let status = self.decoder.decompress_vec(deflated, &mut value, FlushDecompress::Finish)?;
        let mut sum = Crc::new();
        sum.update(&value);
        ensure!(status == Status::StreamEnd && sum.sum().to_le_bytes() == trailer[..4], "damaged");
        Ok(value)
    }
}

pub(super) fn fresh(value: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(LEVEL));
    encoder.write_all(value)?;
    Ok(encoder.finish()?)
}

pub(super) fn read_fresh(member: &[u8]) -> Result<Vec<u8>> {
    let mut value = Vec::new();
    GzDecoder::new(member).read_to_end(&mut value)?;
    Ok(value)
}

/// What flate2 is made of unless another backend is asked for; without header and sum.
pub(super) fn miniz(value: &[u8]) -> Vec<u8> {
    miniz_oxide::deflate::compress_to_vec(value, 6)
}

pub(super) fn read_miniz(member: &[u8]) -> Result<Vec<u8>> {
    miniz_oxide::inflate::decompress_to_vec(&member[10..member.len() - 8]).ok().context("damaged")
}
