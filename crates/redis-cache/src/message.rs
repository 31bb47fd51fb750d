use crate::script::TOKEN;
use bytes::Bytes;

/// What processes tell each other on the cache's channel.
///
/// | byte | holds |
/// |---|---|
/// | 0 | version, 1 |
/// | 1 | kind: 1 stored, 2 abandoned, 3 invalidated, 4 another generation of a tag |
/// | 2..6 | length of the key or tag, little-endian |
/// | 6.. | the key or tag |
/// | then, for kind 1 | the token of the load, 32 bytes, and behind it the entry if it is small |
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) kind: Kind,
    pub(crate) key: String,
    /// What tells this load from those before; empty for other kinds.
    pub(crate) token: Bytes,
    pub(crate) entry: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Stored,
    Abandoned,
    Invalidated,
    Renewed,
}

const VERSION: u8 = 1;
const HEADER: usize = 6;

impl Kind {
    /// A message of this kind, to which a script may append the entry.
    pub(crate) fn of(self, key: &str, token: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + key.len() + token.len());
        bytes.extend_from_slice(&[VERSION, self as u8 + 1]);
        bytes.extend_from_slice(&u32::try_from(key.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend_from_slice(key.as_bytes());
        bytes.extend_from_slice(token);
        bytes
    }
}

impl Message {
    /// `None` for anything this version does not know.
    pub(crate) fn decode(bytes: &Bytes) -> Option<Self> {
        let &[VERSION, kind, a, b, c, d] = bytes.first_chunk::<HEADER>()? else { return None };
        let kind = match kind {
            1 => Kind::Stored,
            2 => Kind::Abandoned,
            3 => Kind::Invalidated,
            4 => Kind::Renewed,
            _ => return None,
        };
        let end = HEADER.checked_add(usize::try_from(u32::from_le_bytes([a, b, c, d])).ok()?)?;
        let key = std::str::from_utf8(bytes.get(HEADER..end)?).ok()?.to_owned();
        let start = if kind == Kind::Stored { end.checked_add(TOKEN)? } else { end };
        let token = bytes.get(end..start).map(|_| bytes.slice(end..start))?;
        Some(Self { kind, key, token, entry: bytes.slice(start..) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_1_stands_byte_for_byte() {
        let token = b"0123456789abcdef0123456789abcdef";
        let bytes = Bytes::from([&Kind::Stored.of("a:{b}", token)[..], b"rest"].concat());
        assert_eq!(bytes, &b"\x01\x01\x05\x00\x00\x00a:{b}0123456789abcdef0123456789abcdefrest"[..]);
        let (token, entry) = (Bytes::from_static(token), Bytes::from_static(b"rest"));
        assert_eq!(Message::decode(&bytes), Some(Message { kind: Kind::Stored, key: "a:{b}".into(), token, entry }));
        for (kind, number) in [(Kind::Abandoned, 2), (Kind::Invalidated, 3), (Kind::Renewed, 4)] {
            let bytes = kind.of("k", b"");
            assert_eq!(bytes, [&[1, number, 1, 0, 0, 0][..], b"k"].concat());
            assert_eq!(Message::decode(&bytes.into()).unwrap().kind, kind);
        }
    }

    #[test]
    fn anything_else_does_not_decode() {
        for bytes in [
            &b""[..],
            b"\x01\x01\x01\x00\x00",
            b"\x01\x01\x02\x00\x00\x00k",
            b"\x02\x01\x00\x00\x00\x00",
            b"\x01\x09\x00\x00\x00\x00",
            b"\x01\x01\xff\xff\xff\xffk",
            b"\x01\x02\x01\x00\x00\x00\xff",
            b"\x01\x01\x01\x00\x00\x00kno token",
        ] {
            assert_eq!(Message::decode(&Bytes::from_static(bytes)), None);
        }
    }
}
