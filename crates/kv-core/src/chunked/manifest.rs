use crate::{Error, ErrorKind, Result};
use bytes::Bytes;
use std::borrow::Cow;

/// Three bytes that begin neither text, nor JSON or gzip; a fourth says what follows.
const MARK: [u8; 3] = [0xF8, 0x4B, 0x43];
const PLAIN: u8 = 0;
const PARTS: u8 = 1;

/// A manifest with more parts is nothing this library writes.
pub(super) const MAX_PARTS: u64 = 1 << 16;

/// What stands under the key of a value in parts: which parts there are, and how long they are together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Manifest {
    /// Drawn for each write, and in the keys of its parts: no two writes share a part.
    pub(super) generation: u64,
    pub(super) part_bytes: u64,
    pub(super) total: u64,
}

/// What stands under a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stored {
    Whole(Bytes),
    Parts(Manifest),
}

impl Manifest {
    pub(super) fn encode(self) -> Vec<u8> {
        let numbers = [self.generation, self.part_bytes, self.total].map(u64::to_be_bytes);
        [&MARK[..], &[PARTS], numbers.as_flattened()].concat()
    }

    fn decode(body: &[u8]) -> Option<Self> {
        let (numbers, rest) = body.as_chunks::<8>();
        let [generation, part_bytes, total] = *numbers else { return None };
        let number = u64::from_be_bytes;
        let manifest = Self { generation: number(generation), part_bytes: number(part_bytes), total: number(total) };
        // A value of one part is stored whole.
        let sound = rest.is_empty() && manifest.part_bytes > 0 && manifest.total > manifest.part_bytes;
        (sound && manifest.count() <= MAX_PARTS).then_some(manifest)
    }

    pub(super) fn count(self) -> u64 {
        self.total.div_ceil(self.part_bytes)
    }

    pub(super) fn part_key(self, key: &str, part: u64) -> String {
        format!("{key}:part:{:016x}:{part}", self.generation)
    }

    /// How long a part must be.
    pub(super) fn part_len(self, part: u64) -> u64 {
        self.part_bytes.min(self.total.saturating_sub(part.saturating_mul(self.part_bytes)))
    }
}

/// A value that fits in one part, as it is stored: bare, unless it would be mistaken for marked.
pub(super) fn whole(value: &[u8]) -> Cow<'_, [u8]> {
    match value.starts_with(&MARK) {
        true => [&MARK[..], &[PLAIN], value].concat().into(),
        false => value.into(),
    }
}

pub(super) fn read(stored: Bytes) -> Result<Stored> {
    let Some(marked) = stored.strip_prefix(&MARK) else { return Ok(Stored::Whole(stored)) };
    match marked.split_first() {
        Some((&PLAIN, _)) => Ok(Stored::Whole(stored.slice(MARK.len() + 1..))),
        Some((&PARTS, body)) => Manifest::decode(body).map(Stored::Parts).ok_or_else(|| corrupt("no sound manifest")),
        _ => Err(corrupt("unknown mark")),
    }
}

pub(super) fn corrupt(detail: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, "get_chunked").with_detail(detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(part_bytes: u64, total: u64) -> Manifest {
        Manifest { generation: 7, part_bytes, total }
    }

    #[test]
    fn a_manifest_reads_as_written_and_nothing_else_does() {
        let sound = manifest(10, 25);
        assert_eq!(read(sound.encode().into()).unwrap(), Stored::Parts(sound));
        assert_eq!((sound.count(), [0, 1, 2, 3].map(|part| sound.part_len(part))), (3, [10, 10, 5, 0]));
        for unsound in
            [manifest(0, 25), manifest(10, 10), manifest(0, 0), manifest(1, MAX_PARTS + 1), manifest(1, u64::MAX)]
        {
            assert_eq!(read(unsound.encode().into()).unwrap_err().kind(), ErrorKind::Corrupt, "{unsound:?}");
        }
        let bytes = sound.encode();
        for cut in MARK.len()..bytes.len() {
            assert_eq!(read(bytes[..cut].to_vec().into()).unwrap_err().kind(), ErrorKind::Corrupt, "cut at {cut}");
        }
        assert!(read([&bytes[..], b"x"].concat().into()).is_err());
    }
}
