use super::MAGIC;
use flate2::Crc;

const CRC: u8 = 1 << 1;
const EXTRA: u8 = 1 << 2;
const NAME: u8 = 1 << 3;
const COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0b111 << 5;

/// What stands behind the header of a member; `None` where there is no whole one.
pub(super) fn skip(member: &[u8]) -> Option<&[u8]> {
    let &[flags, _, _, _, _, _, _, ref rest @ ..] = member.strip_prefix(&MAGIC)? else { return None };
    let mut rest = rest;
    if flags & RESERVED != 0 {
        return None;
    }
    if flags & EXTRA != 0 {
        let (length, behind) = rest.split_first_chunk()?;
        rest = behind.get(usize::from(u16::from_le_bytes(*length))..)?;
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            rest = &rest[rest.iter().position(|&byte| byte == 0)? + 1..];
        }
    }
    if flags & CRC != 0 {
        let header = &member[..member.len() - rest.len()];
        let (sum, behind) = rest.split_first_chunk()?;
        let mut found = Crc::new();
        found.update(header);
        if found.sum() & 0xFFFF != u32::from(u16::from_le_bytes(*sum)) {
            return None;
        }
        rest = behind;
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything a header can have, in the order of the standard.
    fn full() -> Vec<u8> {
        let mut header =
            [&MAGIC[..], &[CRC | EXTRA | NAME | COMMENT, 1, 2, 3, 4, 0, 3, 3, 0], b"abcname\0comment\0"].concat();
        let mut sum = Crc::new();
        sum.update(&header);
        header.extend_from_slice(&sum.sum().to_le_bytes()[..2]);
        header
    }

    #[test]
    fn what_a_header_can_have_is_skipped() {
        assert_eq!(skip(&[&full()[..], b"data"].concat()), Some(&b"data"[..]));
        assert_eq!(skip(b"\x1f\x8b\x08\0\0\0\0\0\0\xffdata"), Some(&b"data"[..]));
    }

    #[test]
    fn half_a_header_is_none() {
        let full = full();
        for cut in 0..full.len() {
            assert_eq!(skip(&full[..cut]), None, "{cut}");
        }
        for at in 0..full.len() {
            let mut damaged = full.clone();
            damaged[at] ^= 0x80;
            assert_eq!(skip(&damaged), None, "{at}");
        }
    }
}
