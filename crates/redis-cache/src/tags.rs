use bytes::Bytes;
use kv_core::{Error, Result};

/// The tags of an entry with the generation each had when the load began, as they stand between header and value.
///
/// | byte | holds |
/// |---|---|
/// | 0 | 1, for a tag; readers skip what they do not know |
/// | 1 | length of the rest |
/// | 2..10 | the generation |
/// | 10.. | the name; none for the tag of all entries |
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tags(pub(crate) Bytes);

pub(crate) type Generation = [u8; 8];

const TAG: u8 = 1;
/// What fits one byte beside the generation.
const LONGEST_NAME: usize = 247;
/// What fits the header's two bytes, with the longest names.
const MOST: usize = 250;

impl Tags {
    pub(crate) fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    pub(crate) fn encode<'a>(tags: impl Iterator<Item = (&'a str, Generation)>) -> Self {
        let mut bytes = Vec::new();
        for (name, generation) in tags {
            bytes.extend_from_slice(&[TAG, (name.len() + generation.len()) as u8]);
            bytes.extend_from_slice(&generation);
            bytes.extend_from_slice(name.as_bytes());
        }
        Self(bytes.into())
    }

    /// The tags; `None` at the end of what can be read, for something that cannot.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Option<(&str, Generation)>> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            while let &[kind, len, ref behind @ ..] = rest {
                let Some((body, next)) = behind.split_at_checked(len.into()) else { break };
                rest = next;
                if kind == TAG {
                    let tag = body.split_first_chunk();
                    return Some(
                        tag.and_then(|(generation, name)| Some((std::str::from_utf8(name).ok()?, *generation))),
                    );
                }
            }
            let whole = std::mem::take(&mut rest).is_empty();
            (!whole).then_some(None)
        })
    }

    /// Refuses what an entry cannot carry.
    pub(crate) fn check(tags: &[&str]) -> Result<()> {
        if tags.len() > MOST {
            return Err(Error::invalid_input("tags", format!("more than {MOST} tags")));
        }
        if tags.iter().any(|tag| tag.is_empty() || tag.len() > LONGEST_NAME) {
            return Err(Error::invalid_input("tags", format!("a tag has from 1 to {LONGEST_NAME} bytes")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_1_stands_byte_for_byte() {
        let tags = Tags::encode([("ab", [1, 2, 3, 4, 5, 6, 7, 8]), ("", [9; 8])].into_iter());
        assert_eq!(tags.0, &b"\x01\x0A\x01\x02\x03\x04\x05\x06\x07\x08ab\x01\x08\x09\x09\x09\x09\x09\x09\x09\x09"[..]);
        let tags: Vec<_> = tags.iter().collect();
        assert_eq!(tags, [Some(("ab", [1, 2, 3, 4, 5, 6, 7, 8])), Some(("", [9; 8]))]);
    }

    #[test]
    fn what_is_unknown_is_skipped_and_what_is_damaged_is_told() {
        let read =
            |bytes: &'static [u8]| Tags(Bytes::from_static(bytes)).iter().map(|tag| tag.is_some()).collect::<Vec<_>>();
        assert_eq!(read(b"\x07\x02xx\x01\x0912345678a"), [true]);
        assert_eq!(read(b"\x07\x00"), [] as [bool; 0]);
        for damaged in [&b"\x01"[..], b"\x01\x09123", b"\x01\x07123", b"\x01\x0912345678\xff", b"\x07\x05xx"] {
            assert!(Tags(Bytes::from_static(damaged)).iter().any(|tag| tag.is_none()), "{damaged:?}");
        }
        let most = vec!["x".repeat(LONGEST_NAME); MOST];
        let most: Vec<&str> = most.iter().map(String::as_str).collect();
        assert!(Tags::check(&most).is_ok());
        assert!(
            Tags::encode(most.iter().map(|tag| (*tag, [0; 8])).chain([("", [0; 8])])).0.len() <= usize::from(u16::MAX)
        );
        assert!(Tags::check(&[""]).is_err() && Tags::check(&["a"; MOST + 1]).is_err());
    }
}
