/// As much as a block holds.
const BLOCK: u64 = 128 << 10;

/// How many bytes the blocks of a frame hold at most, by their headers (RFC 8878, 3.1.1); `None` where this is not one whole frame.
pub(super) fn held(frame: &[u8]) -> Option<u64> {
    let descriptor = usize::from(*frame.get(4)?);
    let is_single = descriptor >> 5 & 1;
    let (window, dictionary, size) =
        (1 - is_single, [0, 1, 2, 4][descriptor & 3], [is_single, 2, 4, 8][descriptor >> 6]);
    let checksum = (descriptor >> 2 & 1) * 4;
    let mut rest = frame.get(5 + window + dictionary + size..)?;
    let mut held = 0u64;
    loop {
        let (&[low, middle, high], behind) = rest.split_first_chunk()?;
        let header = u32::from_le_bytes([low, middle, high, 0]);
        let (is_last, size) = (header & 1 == 1, header >> 3);
        let (holds, takes) = match header >> 1 & 3 {
            0 => (u64::from(size), size),
            1 => (u64::from(size), 1),
            2 => (BLOCK, size),
            _ => return None,
        };
        held = held.saturating_add(holds.min(BLOCK));
        rest = behind.get(usize::try_from(takes).ok()?..)?;
        if is_last {
            return (rest.len() == checksum).then_some(held);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

    fn block(is_last: bool, kind: u32, size: u32, body: &[u8]) -> Vec<u8> {
        let header = u32::from(is_last) | kind << 1 | size << 3;
        [&header.to_le_bytes()[..3], body].concat()
    }

    #[test]
    fn each_block_counts_for_what_it_can_hold() {
        let blocks = [block(false, 0, 3, b"raw"), block(false, 1, 1000, b"x"), block(true, 2, 2, b"..")].concat();
        for (descriptor, fields, behind) in [(0b0000_0000, 1, 0), (0b1110_0011, 12, 0), (0b0110_0101, 3, 4)] {
            let frame = [&MAGIC[..], &[descriptor], &vec![0; fields], &blocks, &vec![0; behind]].concat();
            assert_eq!(held(&frame), Some(3 + 1000 + BLOCK), "{descriptor:b}");
            assert_eq!(held(&[&frame[..], b"x"].concat()), None, "{descriptor:b}");
            for cut in 0..frame.len() {
                assert_eq!(held(&frame[..cut]), None, "{descriptor:b} cut at {cut}");
            }
        }
        let reserved = [&MAGIC[..], &[0b0010_0000, 1], &block(true, 3, 1, b"x")].concat();
        assert_eq!(held(&reserved), None);
    }
}
