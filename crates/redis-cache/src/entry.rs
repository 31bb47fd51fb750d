use crate::{parts::Manifest, tags::Tags};
use bytes::{Buf, Bytes};

/// What a key of the cache holds: a header, and behind it the encoded value.
///
/// | byte | holds, numbers little-endian |
/// |---|---|
/// | 0 | `0xC1`, which begins neither text nor JSON, `MessagePack` or gzip |
/// | 1 | version, 1 |
/// | 2 | kind: 1 a value, 2 the knowledge that there is none, 3 a value in parts |
/// | 3 | id of the transform the value went through, 0 for none |
/// | 4 | id of the codec |
/// | 5 | 0, and for kind 3 which keys have the parts: 0 the even ones, 1 the odd ones |
/// | 6..8 | length of what stands between header and value; readers skip what they do not know |
/// | 8..12 | schema |
/// | 12..16 | how long the load took, milliseconds |
/// | 16..24 | when the load began, milliseconds since 1970 by the server's clock |
/// | 24..28 | how long after that it is fresh, milliseconds |
/// | 28..32 | how long after that it may be served stale, milliseconds |
/// | 32.. | extensions, then the value, nothing, or a [`Manifest`] |
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) header: Header,
    pub(crate) tags: Tags,
    pub(crate) body: Body<Bytes>,
}

/// What stands behind the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body<B> {
    /// The knowledge that there is no value.
    Null,
    /// The value.
    Whole(B),
    /// Where it is.
    Parts(Side, Manifest),
}

/// Which keys parts are written to: those that the entry to be replaced does not need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Side {
    #[default]
    Even = 0,
    Odd = 1,
}

/// What stands before a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) transform: u8,
    pub(crate) codec: u8,
    pub(crate) schema: u32,
    pub(crate) times: Times,
}

/// When an entry was loaded, and how long it is good for; all in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) cost: u32,
    pub(crate) loaded_at: u64,
    pub(crate) fresh_for: u32,
    pub(crate) stale_for: u32,
}

const MAGIC: u8 = 0xC1;
const VERSION: u8 = 1;
const VALUE: u8 = 1;
const NULL: u8 = 2;
const PARTS: u8 = 3;
pub(crate) const HEADER: usize = 32;

impl Header {
    /// The bytes of an entry with this header.
    pub(crate) fn entry(&self, tags: &Tags, body: Body<&[u8]>) -> Vec<u8> {
        let Self { transform, codec, schema, times } = *self;
        let manifest;
        let (kind, side, behind) = match body {
            Body::Null => (NULL, Side::default(), &[][..]),
            Body::Whole(value) => (VALUE, Side::default(), value),
            Body::Parts(side, parts) => {
                manifest = parts.encode();
                (PARTS, side, &manifest[..])
            }
        };
        let mut bytes = Vec::with_capacity(HEADER + tags.0.len() + behind.len());
        bytes.extend_from_slice(&[MAGIC, VERSION, kind, transform, codec, side as u8, 0, 0]);
        bytes.extend_from_slice(&schema.to_le_bytes());
        bytes.extend_from_slice(&times.cost.to_le_bytes());
        bytes.extend_from_slice(&times.loaded_at.to_le_bytes());
        bytes.extend_from_slice(&times.fresh_for.to_le_bytes());
        bytes.extend_from_slice(&times.stale_for.to_le_bytes());
        bytes[6..8].copy_from_slice(&u16::try_from(tags.0.len()).unwrap_or_default().to_le_bytes());
        bytes.extend_from_slice(&tags.0);
        bytes.extend_from_slice(behind);
        bytes
    }

    /// With the kind, the side, and where that begins which is behind the extensions.
    fn decode(bytes: &[u8]) -> Option<(Self, u8, u8, usize)> {
        let header = bytes.first_chunk::<HEADER>()?;
        let &[MAGIC, VERSION, kind, transform, codec, side, low, high, ..] = header else { return None };
        let int = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let times = Times {
            cost: int(12),
            loaded_at: u64::from(int(16)) | u64::from(int(20)) << 32,
            fresh_for: int(24),
            stale_for: int(28),
        };
        let start = HEADER + usize::from(u16::from_le_bytes([low, high]));
        Some((Self { transform, codec, schema: int(8), times }, kind, side, start))
    }
}

impl Entry {
    /// Gives back what this version cannot read.
    pub(crate) fn decode(mut bytes: Bytes) -> Result<Self, Bytes> {
        let Some((header, kind, side, start)) = Header::decode(&bytes) else { return Err(bytes) };
        let manifest = || Manifest::decode(bytes.get(start..)?);
        let body = match (kind, side) {
            _ if start > bytes.len() => None,
            (VALUE, 0) => Some(Body::Whole(())),
            (NULL, 0) if start == bytes.len() => Some(Body::Null),
            (PARTS, 0) => manifest().map(|manifest| Body::Parts(Side::Even, manifest)),
            (PARTS, 1) => manifest().map(|manifest| Body::Parts(Side::Odd, manifest)),
            _ => None,
        };
        let Some(body) = body else { return Err(bytes) };
        let tags = if start == HEADER { Tags::default() } else { Tags(bytes.slice(HEADER..start)) };
        let body = match body {
            // In place: what is sliced has to be counted.
            Body::Whole(()) => {
                bytes.advance(start);
                Body::Whole(bytes)
            }
            Body::Null => Body::Null,
            Body::Parts(side, manifest) => Body::Parts(side, manifest),
        };
        Ok(Self { header, tags, body })
    }

    /// What tells this entry from the one that replaces it.
    pub(crate) fn mark(bytes: &[u8]) -> &[u8] {
        &bytes[..bytes.len().min(HEADER)]
    }

    /// Where the parts of what replaces the entry with this mark may be written.
    pub(crate) fn other_side(mark: &[u8]) -> Side {
        match mark {
            [MAGIC, VERSION, PARTS, _, _, 0, ..] => Side::Odd,
            _ => Side::Even,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: Times = Times { cost: 0x0102, loaded_at: 0x0506_0708_090A, fresh_for: 0x0B0C_0D0E, stale_for: 0x0F10 };
    const HEADER: Header = Header { transform: 7, codec: 2, schema: 0x1112_1314, times: TIMES };

    const GOLDEN: &[u8] = b"\xC1\x01\x01\x07\x02\x00\x00\x00\x14\x13\x12\x11\x02\x01\x00\x00\
        \x0A\x09\x08\x07\x06\x05\x00\x00\x0E\x0D\x0C\x0B\x10\x0F\x00\x00ab";

    #[test]
    fn version_1_stands_byte_for_byte() {
        assert_eq!(HEADER.entry(&Tags::default(), Body::Whole(b"ab")), GOLDEN);
        let entry = Entry { header: HEADER, tags: Tags::default(), body: Body::Whole(Bytes::from_static(b"ab")) };
        assert_eq!(Entry::decode(Bytes::from_static(GOLDEN)), Ok(entry));
    }

    #[test]
    fn an_empty_value_is_not_the_null() {
        for empty in [Body::Null, Body::Whole(&[][..])] {
            for tags in [Tags::default(), Tags::encode([("tag", [7; 8])].into_iter())] {
                let bytes = HEADER.entry(&tags, empty);
                let body = if empty == Body::Null { Body::Null } else { Body::Whole(Bytes::new()) };
                assert_eq!(Entry::decode(bytes.into()), Ok(Entry { header: HEADER, tags, body }));
            }
        }
    }

    #[test]
    fn what_a_later_version_adds_before_the_value_is_skipped() {
        let mut bytes = HEADER.entry(&Tags::default(), Body::Whole(b"newab"));
        bytes[6] = 3;
        assert_eq!(Entry::decode(bytes.clone().into()).unwrap().body, Body::Whole(Bytes::from_static(b"ab")));
        bytes[6] = 6;
        assert!(Entry::decode(bytes.into()).is_err());
    }

    #[test]
    fn anything_else_does_not_decode() {
        for at in [0, 1, 2, 5] {
            let mut damaged = GOLDEN.to_vec();
            damaged[at] ^= 0x40;
            assert_eq!(Entry::decode(damaged.clone().into()), Err(damaged.into()), "byte {at}");
        }
        for cut in 0..super::HEADER {
            assert!(Entry::decode(GOLDEN[..cut].to_vec().into()).is_err());
        }
        let mut null = HEADER.entry(&Tags::default(), Body::Null);
        null.push(b'x');
        assert!(Entry::decode(null.into()).is_err());
    }

    #[test]
    fn parts_are_written_beside_those_that_are_replaced() {
        let manifest = Manifest::decode(&[1; 28]).unwrap();
        for (side, other) in [(Side::Even, Side::Odd), (Side::Odd, Side::Even)] {
            let bytes = HEADER.entry(&Tags::default(), Body::Parts(side, manifest));
            assert_eq!((bytes[2], bytes[5], bytes.len()), (3, side as u8, 60));
            assert_eq!(Entry::other_side(Entry::mark(&bytes)), other);
            let entry = Entry { header: HEADER, tags: Tags::default(), body: Body::Parts(side, manifest) };
            assert_eq!(Entry::decode(bytes.clone().into()), Ok(entry));
            assert!(Entry::decode(bytes[..59].to_vec().into()).is_err());
        }
        assert_eq!(Entry::other_side(b""), Side::Even);
    }
}
