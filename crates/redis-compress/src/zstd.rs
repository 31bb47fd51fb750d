mod blocks;

use crate::{Algorithm, CompressOptions, Dictionary, corrupt, state};
use kv_core::{Error, ErrorKind, Result};
use std::{fmt, io::Cursor, sync::Arc};
use zstd_safe::CDict;

/// A level, and a dictionary made ready for it.
#[derive(Clone)]
pub(crate) struct Writer {
    level: i32,
    dictionary: Option<Arc<CDict<'static>>>,
}

impl Writer {
    pub(crate) fn new(options: &CompressOptions) -> Result<Self> {
        let level = i32::try_from(options.written_level()).unwrap_or(i32::MAX);
        let dictionary = options.dictionaries.first().filter(|_| options.algorithm == Algorithm::Zstd);
        let dictionary = dictionary.map(|dictionary| dictionary.writer(level)).transpose()?;
        Ok(Self { level, dictionary: dictionary.map(Arc::new) })
    }

    /// Appends a frame, as long as all that is written is not longer than this; says whether it is.
    pub(crate) fn write(&self, plain: &[u8], written: &mut Vec<u8>, limit: usize) -> bool {
        written.reserve_exact(limit.saturating_sub(written.len()));
        state::with(|state| {
            let encoder = state.zstd();
            let mut behind = Cursor::new(written);
            behind.set_position(behind.get_ref().len() as u64);
            let done = match &self.dictionary {
                Some(dictionary) => encoder.compress_using_cdict(&mut behind, plain, dictionary),
                None => encoder.compress(&mut behind, plain, self.level),
            };
            done.is_ok() && behind.get_ref().len() <= limit
        })
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("level", &self.level).finish_non_exhaustive()
    }
}

pub(crate) fn read(frame: &[u8], dictionaries: &[Dictionary], max: usize) -> Result<Vec<u8>> {
    let length = claimed(frame);
    if length > max {
        return Err(corrupt("larger than max_decompressed"));
    }
    match blocks::held(frame) {
        Some(held) if length > 0 && held >= length as u64 => {}
        Some(_) => return Err(corrupt("claims more than its blocks can hold")),
        None => return Err(corrupt("not a whole zstd frame")),
    }
    let known = match zstd_safe::get_dict_id_from_frame(frame) {
        Some(id) => Some(dictionaries.iter().find(|known| known.id() == id.get()).ok_or_else(|| unknown(id.get()))?),
        None => None,
    };
    let mut plain = Vec::with_capacity(length);
    let done = state::with(|state| match known {
        Some(known) => state.unzstd().decompress_using_ddict(&mut plain, frame, known.reader()),
        None => state.unzstd().decompress(&mut plain, frame),
    });
    if done == Ok(length) { Ok(plain) } else { Err(corrupt("not a whole zstd frame")) }
}

/// What the frame says of the length; 0 where it does not.
pub(crate) fn claimed(frame: &[u8]) -> usize {
    let length = zstd_safe::get_frame_content_size(frame).ok().flatten().unwrap_or(0);
    usize::try_from(length).unwrap_or(usize::MAX)
}

fn unknown(id: u32) -> Error {
    let detail = format!("written with dictionary {id}, which is not among dictionaries");
    Error::new(ErrorKind::Unsupported, "decompress").with_detail(detail)
}
