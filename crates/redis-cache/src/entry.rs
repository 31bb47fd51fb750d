use bytes::Bytes;

/// What a key of the cache holds.
///
/// | byte | holds |
/// |---|---|
/// | 0 | `0xC1`, which begins neither text nor JSON, MessagePack or gzip |
/// | 1 | version, 1 |
/// | 2 | kind: 1 a value, 2 the knowledge that there is none |
/// | 3 | id of the transform the rest went through, 0 for none |
/// | 4.. | the encoded value; nothing for kind 2 |
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Value { transform: u8, payload: Bytes },
    Null,
}

const MAGIC: u8 = 0xC1;
const VERSION: u8 = 1;
const VALUE: u8 = 1;
const NULL: u8 = 2;
const HEADER: usize = 4;

impl Entry {
    pub(crate) fn value(transform: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + payload.len());
        bytes.extend_from_slice(&[MAGIC, VERSION, VALUE, transform]);
        bytes.extend_from_slice(payload);
        bytes
    }

    pub(crate) fn null() -> Vec<u8> {
        vec![MAGIC, VERSION, NULL, 0]
    }

    /// `None` for anything this version does not write.
    pub(crate) fn decode(bytes: &Bytes) -> Option<Self> {
        match **bytes {
            [MAGIC, VERSION, VALUE, transform, ..] => Some(Self::Value { transform, payload: bytes.slice(HEADER..) }),
            [MAGIC, VERSION, NULL, 0] => Some(Self::Null),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_1_stands_byte_for_byte() {
        assert_eq!(Entry::value(7, b"ab"), b"\xC1\x01\x01\x07ab");
        assert_eq!(Entry::null(), b"\xC1\x01\x02\x00");
    }

    #[test]
    fn an_empty_value_is_not_the_null() {
        let empty = Entry::decode(&Entry::value(0, b"").into());
        assert_eq!(empty, Some(Entry::Value { transform: 0, payload: Bytes::new() }));
        assert_eq!(Entry::decode(&Entry::null().into()), Some(Entry::Null));
    }

    #[test]
    fn anything_else_does_not_decode() {
        for bytes in [&b""[..], b"\xC1", b"\xC1\x02\x01\x00a", b"\xC1\x01\x03\x00", b"\xC1\x01\x02\x00a", b"null", b"*"]
        {
            assert_eq!(Entry::decode(&Bytes::copy_from_slice(bytes)), None);
        }
    }
}
