use crate::{
    entry::Side,
    lease::{Keys, Lease},
    remote::Remote,
};
use bytes::{Bytes, BytesMut};
use kv_core::{Result, SetOptions};
use std::time::Duration;
use tokio::time::Instant;

/// Where the parts are of a value too big for one key; stands behind the header of its entry.
///
/// | byte | holds, numbers little-endian |
/// |---|---|
/// | 0..16 | what each part begins with, drawn for each write |
/// | 16..24 | length of the value as it is stored |
/// | 24..28 | how much of it each part has, but the last |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    write: [u8; 16],
    len: u64,
    part: u32,
}

/// How many parts are fetched in one round trip.
const PER_TRIP: usize = 4;
/// How much longer than their entry parts live, which are written before it.
const GRACE: Duration = Duration::from_secs(60);

impl Manifest {
    pub(crate) fn encode(&self) -> Vec<u8> {
        [&self.write[..], &self.len.to_le_bytes(), &self.part.to_le_bytes()].concat()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (write, rest) = bytes.split_first_chunk()?;
        let (len, rest) = rest.split_first_chunk()?;
        let (write, len, part) = (*write, u64::from_le_bytes(*len), u32::from_le_bytes(rest.try_into().ok()?));
        (part > 0 && len > 0).then_some(Self { write, len, part })
    }

    /// How long each part is, in their order.
    fn lengths(self) -> impl Iterator<Item = u64> {
        let whole = u64::from(self.part);
        (0..self.len.div_ceil(whole)).map(move |at| whole.min(self.len - at * whole))
    }
}

/// The parts of both sides take turns: 0, 2, 4 and 1, 3, 5.
fn name(key: &str, side: Side, at: u64) -> String {
    format!("{key}:part:{}", at.saturating_mul(2).saturating_add(side as u64))
}

impl<V> Remote<V> {
    /// Writes the parts of a value that is stored by the entry to come. One round trip each; a lease goes on meanwhile.
    pub(crate) async fn write_parts(
        &self,
        keys: &Keys,
        payload: &[u8],
        side: Side,
        ttl: i64,
        lease: Option<&Lease>,
    ) -> Result<Manifest> {
        let part = u32::try_from(self.options.part_bytes).unwrap_or(u32::MAX);
        let manifest = Manifest { write: rand::random(), len: payload.len() as u64, part };
        let ttl = Duration::from_millis(ttl.unsigned_abs()) + GRACE;
        let mut kept = Instant::now();
        for (at, part) in payload.chunks(part as usize).enumerate() {
            let part = [&manifest.write[..], part].concat();
            self.store.set(&name(&keys.entry, side, at as u64), &part, SetOptions::default().ttl(ttl)).await?;
            if let Some(lease) = lease.filter(|_| kept.elapsed() > self.options.lease / 3) {
                self.keep_lease(keys, lease).await?;
                kept = Instant::now();
            }
        }
        Ok(manifest)
    }

    /// A value from its parts; `None` if one of them is gone or is another's. One round trip for four.
    pub(crate) async fn read_parts(&self, key: &str, side: Side, manifest: Manifest) -> Result<Option<Bytes>> {
        let (mut value, mut at, mut lengths) = (BytesMut::new(), 0, manifest.lengths().peekable());
        while lengths.peek().is_some() {
            let trip: Vec<u64> = lengths.by_ref().take(PER_TRIP).collect();
            let names: Vec<String> = (at..).take(trip.len()).map(|at| name(key, side, at)).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            at += trip.len() as u64;
            let parts = self.ask(self.store.mget(&names)).await?;
            for (part, len) in parts.iter().zip(trip) {
                let part = part.as_ref().and_then(|part| part.strip_prefix(&manifest.write[..]));
                // What is claimed is not believed until it is there.
                match part.filter(|part| part.len() as u64 == len) {
                    Some(part) => value.extend_from_slice(part),
                    None => return Ok(None),
                }
            }
        }
        Ok(Some(value.freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_1_stands_byte_for_byte() {
        let manifest = Manifest { write: *b"0123456789abcdef", len: 0x0102_0304, part: 0x0506 };
        let bytes = b"0123456789abcdef\x04\x03\x02\x01\x00\x00\x00\x00\x06\x05\x00\x00";
        assert_eq!(manifest.encode(), bytes);
        assert_eq!(Manifest::decode(bytes), Some(manifest));
        for damaged in [&bytes[..27], &[&bytes[..], b"x"].concat(), &[&bytes[..24], &[0; 4]].concat(), b""] {
            assert_eq!(Manifest::decode(damaged), None);
        }
    }

    #[test]
    fn parts_are_as_long_as_the_value() {
        let lengths = |len, part| Manifest { write: [0; 16], len, part }.lengths().collect::<Vec<_>>();
        assert_eq!(lengths(10, 4), [4, 4, 2]);
        assert_eq!(lengths(8, 4), [4, 4]);
        assert_eq!(lengths(1, 4), [1]);
        let most = Manifest { write: [0; 16], len: u64::MAX, part: 1 };
        assert_eq!(most.lengths().nth(3), Some(1), "without counting them all");
    }

    #[test]
    fn sides_never_meet() {
        let names: std::collections::HashSet<_> =
            (0..9).flat_map(|at| [Side::Even, Side::Odd].map(|side| name("k", side, at))).collect();
        assert_eq!(names.len(), 18);
        assert_eq!(name("k", Side::Odd, 2), "k:part:5");
    }
}
