//! What to choose from.

use crate::{measured::Measured, sample::Kind};
use anyhow::{Result, ensure};
use bytes::Bytes;
use kv_core::Transform;
use redis_compress::{Algorithm, CompressOptions, Compressor, Dictionary};
use std::time::{Duration, Instant};

/// An algorithm at a level.
pub(crate) struct Candidate {
    name: String,
    compressor: Compressor,
}

/// All of them. A dictionary is trained from half of the values, and all are measured on the other half.
pub(crate) fn candidates(kind: &Kind) -> impl Iterator<Item = Result<Candidate>> {
    let options = CompressOptions::default;
    let gzip = [1, 5, 9].map(|level| (format!("gzip {level}"), options().level(level)));
    let zstd = [1, 3, 9].map(|level| (format!("zstd {level}"), options().algorithm(Algorithm::Zstd).level(level)));
    let lz4 = ("lz4".to_owned(), options().algorithm(Algorithm::Lz4));
    // Too few or too unlike values teach nothing.
    let learnt = Dictionary::train(kind.values.iter().step_by(2), 16 << 10).ok().map(|dictionary| {
        let options = options().algorithm(Algorithm::Zstd).threshold(64).dictionaries([dictionary]);
        ("zstd 3, dictionary".to_owned(), options)
    });
    let all = gzip.into_iter().chain(zstd).chain([lz4]).chain(learnt);
    all.map(|(name, options)| Ok(Candidate { name, compressor: Compressor::new(options)? }))
}

impl Candidate {
    /// Every second value there and back.
    pub(crate) fn measure(self, kind: &Kind) -> Result<Measured> {
        let values = || kind.values.iter().skip(usize::from(kind.values.len() > 1)).step_by(2);
        let (mut stored, mut compressed, mut written, mut read) = (0, 0, Duration::ZERO, Duration::ZERO);
        for value in values() {
            let began = Instant::now();
            let frame = self.compressor.apply(value)?;
            written += began.elapsed();
            let Some(frame) = frame else {
                stored += value.len();
                continue;
            };
            let began = Instant::now();
            ensure!(self.compressor.revert(&frame)? == *value, "it does not come back as it was");
            read += began.elapsed();
            // With the mark that the store puts before it.
            stored += frame.len() + 3;
            compressed += 1;
        }
        let (count, bytes) = (values().count(), values().map(Bytes::len).sum::<usize>());
        let all = kind.values.len();
        Ok(Measured {
            name: self.name,
            // Of all, as if the other half were like this one.
            stored: (stored as f64 / bytes as f64 * kind.bytes() as f64) as usize,
            compressed: compressed * all / count,
            written: written / u32::try_from(count)?,
            read: read / u32::try_from(compressed.max(1))?,
        })
    }
}
