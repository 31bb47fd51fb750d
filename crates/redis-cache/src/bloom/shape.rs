use super::BloomOptions;
use kv_core::{Error, Result};
use twox_hash::XxHash3_128;

/// How the bits of a filter lie: pages of equal size, each a string of its own; in a page one block for its head, and blocks
/// of which an id has one. So all that is known of an id is read with one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) pages: u64,
    /// In each page, the head not counted.
    blocks: u64,
    /// How many bits an id sets in its block.
    pub(super) hashes: u32,
    seed: u64,
}

pub(super) const BLOCK_BYTES: usize = 64;
const BLOCK_BITS: f64 = 512.0;

/// A page is at most 64 MiB, so that no command on one takes long.
const PAGE_BLOCKS: u64 = (64 << 20) / BLOCK_BYTES as u64 - 1;

/// Seven places of nine bits come from 64 bits, and twice as many from twice as many.
const MOST_HASHES: u32 = 14;

/// What is in the hash of the shape, so that a change of what follows makes another filter.
const VERSION: u32 = 1;

impl Shape {
    /// The smallest one whose error rate is as stated when it is full.
    pub(super) fn new(options: &BloomOptions) -> Result<Self> {
        let capacity = options.capacity as f64;
        // What a filter that is not in blocks needs. Quarters of a bit are the same on every machine.
        let least = (options.error_rate.recip().ln() / std::f64::consts::LN_2.powi(2) * 4.0).floor() as u32;
        let found = (least..256).find_map(|quarters| {
            let per_block = BLOCK_BITS * 4.0 / f64::from(quarters);
            let hashes = (1..=MOST_HASHES).find(|&hashes| error_rate(per_block, hashes) <= options.error_rate)?;
            Some((hashes, (capacity / per_block).ceil()))
        });
        let Some((hashes, blocks)) = found.filter(|(_, blocks)| *blocks <= (PAGE_BLOCKS * MOST_PAGES) as f64) else {
            return Err(Error::invalid_config("bloom", "capacity at this error_rate takes more than 4 GiB"));
        };
        let blocks = (blocks as u64).max(1);
        let pages = blocks.div_ceil(PAGE_BLOCKS);
        Ok(Self { pages, blocks: blocks.div_ceil(pages), hashes, seed: options.seed })
    }

    /// The size of a page.
    pub(super) fn page_bytes(&self) -> usize {
        (self.blocks as usize + 1) * BLOCK_BYTES
    }

    /// What tells this filter from those of another shape.
    pub(super) fn id(&self) -> String {
        let text = format!("{VERSION} {} {} {} {}", self.pages, self.blocks, self.hashes, self.seed);
        format!("{:016x}", XxHash3_128::oneshot(text.as_bytes()) as u64)
    }

    /// Where an id is.
    pub(super) fn place(&self, id: &str) -> Place {
        let hash = XxHash3_128::oneshot_with_seed(self.seed, id.as_bytes());
        let (low, high) = (hash as u64, (hash >> 64) as u64);
        let block = ((u128::from(low) * u128::from(self.pages * self.blocks)) >> 64) as u64;
        let mut bits = [0; MOST_HASHES as usize];
        let mut source = high;
        for (nth, bit) in bits.iter_mut().enumerate() {
            if nth == 7 {
                source = mixed(high);
            }
            *bit = (source & 511) as u16;
            source >>= 9;
        }
        Place {
            page: (block / self.blocks) as usize,
            offset: (block % self.blocks + 1) as usize * BLOCK_BYTES,
            bits,
            hashes: self.hashes as usize,
        }
    }
}

const MOST_PAGES: u64 = 64;

/// The end of `SplitMix64`.
fn mixed(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The error rate of a block that has so many ids on average: what chance gives some blocks more costs more than it saves in
/// those with less.
fn error_rate(per_block: f64, hashes: u32) -> f64 {
    let (mut share, mut rate, mut clear) = ((-per_block).exp(), 0.0, 1.0);
    let clear_after_one = (1.0 - 1.0 / BLOCK_BITS).powi(hashes as i32);
    let most = (per_block + 12.0 * per_block.sqrt() + 30.0) as u32;
    for ids in 1..=most {
        share *= per_block / f64::from(ids);
        clear *= clear_after_one;
        rate += share * f64::powi(1.0 - clear, hashes as i32);
    }
    rate
}

/// The bits of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) page: usize,
    /// Where its block begins, in bytes.
    pub(super) offset: usize,
    bits: [u16; MOST_HASHES as usize],
    hashes: usize,
}

impl Place {
    /// The bits within the page, as Redis counts them: from the highest of the first byte.
    pub(super) fn bits(&self) -> impl Iterator<Item = usize> {
        self.bits[..self.hashes].iter().map(|bit| self.offset * 8 + usize::from(*bit))
    }

    /// Whether all of them are set in a block, or it is none.
    pub(super) fn is_in(&self, block: &[u8]) -> bool {
        let set = |bit: &u16| block.get(usize::from(bit / 8)).is_none_or(|byte| byte & (0x80 >> (bit % 8)) != 0);
        self.bits[..self.hashes].iter().all(set)
    }
}

#[cfg(test)]
mod tests;
