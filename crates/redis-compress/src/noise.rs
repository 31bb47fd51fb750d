/// Whether the value looks like noise, so that compressing it would save less than so many percent: encrypted, compressed already, random.
///
/// Two things make a value smaller: some bytes are more frequent than others, or sequences repeat. The first is estimated from samples of all of
/// the value, by how often two bytes of them are equal, which bounds its entropy from below; that clears text at once. Sequences
/// are looked for in the beginning. A value is noise if neither would save half of what is asked for. It is a guess: what it
/// takes for noise is stored as it is, what it does not is compressed and measured.
pub(crate) fn is_noise(value: &[u8], min_saving_percent: u32) -> bool {
    if value.len() < SMALLEST || min_saving_percent == 0 {
        return false;
    }
    let saving = f64::from(min_saving_percent) / 200.0;
    has_even_bytes(value, saving) && repeats(&value[..value.len().min(SEARCHED)]) < saving
}

/// Compressing less takes no longer than finding out.
const SMALLEST: usize = 512;

/// As far as DEFLATE looks back.
const SEARCHED: usize = 32 << 10;

/// Runs of the value that are sampled, and their length: long enough that a record of a few bytes shows all of them.
const RUNS: usize = 16;
const RUN: usize = 16;

fn has_even_bytes(value: &[u8], saving: f64) -> bool {
    let mut seen = [0u8; 256];
    let mut pairs = 0u32;
    let apart = value.len() / RUNS;
    for (at, part) in value.chunks_exact(apart).take(RUNS).enumerate() {
        // Not at the same place of each part, where a table may have the same column.
        let start = at * 7919 % (apart - RUN + 1);
        for &byte in &part[start..start + RUN] {
            let seen = &mut seen[usize::from(byte)];
            pairs += u32::from(*seen);
            *seen = seen.saturating_add(1);
        }
    }
    const ALL: f64 = (RUNS * RUN * (RUNS * RUN - 1) / 2) as f64;
    // The probability of a pair is 2 to the power of minus the collision entropy, and Shannon's is never below that.
    f64::from(pairs) < ALL * (-8.0 * (1.0 - saving)).exp2()
}

/// The share of sequences of four bytes that were there before, estimated from those behind one byte of 32, so that the same are chosen again.
fn repeats(value: &[u8]) -> f64 {
    let mut last = [0u32; 4096];
    let (mut chosen, mut repeated) = (0u32, 0u32);
    for (at, byte) in value.iter().enumerate() {
        if byte % 32 == 0 {
            let Some(sequence) = value[at + 1..].first_chunk() else { break };
            let sequence = u32::from_le_bytes(*sequence);
            let last = &mut last[(sequence.wrapping_mul(0x9E37_79B1) >> 20) as usize];
            chosen += 1;
            repeated += u32::from(*last == sequence);
            *last = sequence;
        }
    }
    // Even bytes without such a one are made that way, and no noise.
    if chosen == 0 { 1.0 } else { f64::from(repeated) / f64::from(chosen) }
}
