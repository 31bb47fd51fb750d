//! What comes from outside: bombs, truncations, and every way to damage a frame.

use super::{dictionary, noise, products};
use flate2::{Compression, write::GzEncoder};
use kv_core::{ErrorKind, Transform};
use redis_compress::{Algorithm, CompressOptions, Compressor, gunzip, gzip};
use std::{
    io::Write,
    time::{Duration, Instant},
};

fn every_compressor() -> Vec<Compressor> {
    let plain = Algorithm::ALL.iter().map(|&algorithm| CompressOptions::default().algorithm(algorithm));
    let with_dictionary = CompressOptions::default().algorithm(Algorithm::Zstd).dictionaries([dictionary()]);
    plain.chain([with_dictionary]).map(|options| Compressor::new(options).unwrap()).collect()
}

fn is_refused(result: kv_core::Result<Vec<u8>>, what: &str) -> String {
    let error = result.err().unwrap_or_else(|| panic!("{what} is refused"));
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
    error.to_string()
}

#[test]
fn a_gzip_member_is_whole_and_alone() {
    let member = gzip(b"hello hello hello hello", 6);
    assert_eq!(gunzip(&member, 23).unwrap(), b"hello hello hello hello");
    let mut flipped = member.clone();
    let at = flipped.len() - 6;
    flipped[at] ^= 1;
    for (what, bytes) in [
        ("empty", vec![]),
        ("two members", [&member[..], &member].concat()),
        ("trailing garbage", [&member[..], b"x"].concat()),
        ("trailing zeros", [&member[..], &[0; 512]].concat()),
        ("another checksum", flipped),
        ("half a header", member[..9].to_vec()),
    ] {
        is_refused(gunzip(&bytes, 1 << 20), what);
    }
}

#[test]
fn no_frame_can_be_cut_or_go_on() {
    let value = products(40);
    for compressor in every_compressor() {
        let frame = compressor.apply(&value).unwrap().expect("it shrinks");
        assert_eq!(compressor.revert(&frame).unwrap(), value);
        for cut in 0..frame.len() {
            is_refused(compressor.revert(&frame[..cut]), &format!("{compressor:?} cut at {cut}"));
        }
        is_refused(compressor.revert(&[&frame[..], b"x"].concat()), "a byte more");
        for length in 1..40 {
            is_refused(compressor.revert(&[&frame[..1], &vec![0; length]].concat()), "zeros");
        }
        let nothing = [&frame[..1], &gzip(b"", 6)].concat();
        is_refused(compressor.revert(&nothing), "a member of nothing");
        is_refused(compressor.revert(&[&frame[..], &frame[1..]].concat()), "two frames");
    }
}

#[test]
fn a_bomb_is_refused_by_every_algorithm() {
    let zeros = vec![0; 64 << 20];
    for &algorithm in Algorithm::ALL {
        let open = Compressor::new(CompressOptions::default().algorithm(algorithm)).unwrap();
        let bomb = open.apply(&zeros).unwrap().expect("zeros shrink");
        assert!(bomb.len() < 300_000, "{algorithm:?}: {}", bomb.len());
        let careful = CompressOptions::default().algorithm(algorithm).max_decompressed(1 << 20);
        let error = is_refused(Compressor::new(careful).unwrap().revert(&bomb), "a bomb");
        assert!(error.ends_with("larger than max_decompressed"), "{algorithm:?}: {error}");
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&zeros).unwrap();
    is_refused(gunzip(&encoder.finish().unwrap(), 1 << 20), "a foreign bomb");
}

/// The length that a frame claims is no reason to make room for it.
#[test]
fn a_claim_beyond_what_the_format_can_hold_is_refused() {
    let max = 1 << 30;
    let mut lying = gzip(b"small", 6);
    let end = lying.len();
    lying[end - 4..].copy_from_slice(&(max as u32 - 1).to_le_bytes());
    assert!(is_refused(gunzip(&lying, max), "gzip").contains("claims more"));

    let open =
        |algorithm| Compressor::new(CompressOptions::default().algorithm(algorithm).max_decompressed(max)).unwrap();
    let claim = (max as u32 - 1).to_le_bytes();
    let lz4 = [&[3u8, 0, 0, 0, 0][..], &claim, &[0x10, b'a']].concat();
    assert!(is_refused(open(Algorithm::Lz4).revert(&lz4), "lz4").contains("claims more"));
    // A frame of one raw block of one byte, which says it is a GiB: single segment, four bytes of size.
    let magic = [0x28, 0xB5, 0x2F, 0xFD];
    let zstd = [&[2u8, 0, 0, 0, 0][..], &magic, &[0xA0], &claim, &[9, 0, 0, b'a']].concat();
    assert!(is_refused(open(Algorithm::Zstd).revert(&zstd), "zstd").contains("claims more"));
}

#[test]
fn what_is_noise_is_found_before_it_is_compressed() {
    for compressor in every_compressor() {
        for length in [1024, 4096, 64 << 10, 1 << 20] {
            assert_eq!(compressor.apply(&noise(length)).unwrap(), None, "{compressor:?}, {length}");
        }
        // Noise that repeats is none.
        let twice = noise(8 << 10).repeat(2);
        if !format!("{compressor:?}").contains("dictionary") {
            assert!(compressor.apply(&twice).unwrap().is_some(), "{compressor:?}");
        }
    }
}

/// `FUZZ_SECONDS=600 cargo test --release -p behaviour frames::no_damage -- --nocapture` looks for longer.
#[test]
fn no_damage_is_read_as_another_value() {
    let seconds = std::env::var("FUZZ_SECONDS").map_or(2, |seconds| seconds.parse().expect("seconds"));
    let seed = std::env::var("FUZZ_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().expect("a seed"));
    let mut dice = Dice(seed);
    println!("FUZZ_SEED={seed}");
    let (began, mut tried, mut same) = (Instant::now(), 0u64, 0u64);
    let compressors = every_compressor();
    while began.elapsed() < Duration::from_secs(seconds) {
        let value = products(1 + dice.below(60));
        for compressor in &compressors {
            let Some(frame) = compressor.apply(&value).unwrap() else { continue };
            for _ in 0..200 {
                let damaged = dice.damage(&frame);
                match compressor.revert(&damaged) {
                    // Such as the time that is in a gzip header.
                    Ok(read) => {
                        assert_eq!(read, value, "{seed}: {damaged:?}");
                        same += 1;
                    }
                    Err(error) => {
                        assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported), "{seed}: {error}");
                    }
                }
                tried += 1;
            }
        }
    }
    println!("{tried} damaged frames, {same} of them read the same");
}

/// `SplitMix64`, which a seed repeats.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn damage(&mut self, frame: &[u8]) -> Vec<u8> {
        let mut damaged = frame.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(damaged.len());
            // Headers and trailers are where most can go wrong.
            let at = match self.below(3) {
                0 => at.min(self.below(24)),
                1 => damaged.len().saturating_sub(1 + self.below(12)),
                _ => at,
            };
            let many = 1 + self.below(8);
            match self.below(6) {
                0 => damaged.truncate(at),
                1 => damaged.extend((0..many).map(|_| 0)),
                2 => {
                    damaged.splice(at..at, (0..many).map(|each| each as u8));
                }
                3 => {
                    damaged.drain(at..(at + many).min(damaged.len()));
                }
                4 => damaged.iter_mut().skip(at).take(many).for_each(|byte| *byte = 0xFF),
                _ => {
                    let bit = self.below(8);
                    damaged.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << bit);
                }
            }
        }
        damaged
    }
}
