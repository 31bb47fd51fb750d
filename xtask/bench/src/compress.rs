//! Values made smaller, against the codec alone and against what is written first.

mod codecs;
mod level;
mod squeeze;

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use anyhow::{Result, bail, ensure};
use kv_core::{KvStore, MemoryStore, SetOptions, Transform};
use redis_compress::{Algorithm, CompressOptions, Compressed, Compressor, Dictionary, gunzip};

use crate::pin::Placement;
use crate::scenario::{BoxFuture, Contenders, Scenario, TURN};
use crate::stage::Stage;
use level::Level;
use squeeze::Squeezing;

pub(crate) const WRITE_1K: Scenario = scenario("compress-write-1k", "1 KiB of JSON, level 6", |_| writes(1 << 10));
pub(crate) const WRITE_4K: Scenario = scenario("compress-write-4k", "4 KiB of JSON, level 6", |_| writes(4 << 10));
pub(crate) const WRITE_100K: Scenario =
    scenario("compress-write-100k", "100 KiB of JSON, level 6", |_| writes(100 << 10));
pub(crate) const READ_1K: Scenario = scenario("compress-read-1k", "what 1 KiB of JSON became", |_| reads(1 << 10));
pub(crate) const READ_4K: Scenario = scenario("compress-read-4k", "what 4 KiB of JSON became", |_| reads(4 << 10));
pub(crate) const READ_100K: Scenario =
    scenario("compress-read-100k", "what 100 KiB of JSON became", |_| reads(100 << 10));
pub(crate) const NOISE: Scenario =
    scenario("compress-noise", "64 KiB of noise, which are stored as they are", |_| noise());
pub(crate) const SMALL: Scenario =
    scenario("compress-small", "a value below the threshold, written and read in memory", |_| small());
pub(crate) const LEVELS_1K: Scenario =
    scenario("compress-levels-1k", "1 KiB of JSON by algorithm and level", |_| levels(1 << 10));
pub(crate) const LEVELS_4K: Scenario =
    scenario("compress-levels-4k", "4 KiB of JSON by algorithm and level", |_| levels(4 << 10));
pub(crate) const LEVELS_64K: Scenario =
    scenario("compress-levels-64k", "64 KiB of JSON by algorithm and level", |_| levels(64 << 10));

const fn scenario(
    name: &'static str,
    about: &'static str,
    contenders: fn(String) -> BoxFuture<'static, Result<Contenders>>,
) -> Scenario {
    let crates = &["flate2", "zlib-rs", "miniz_oxide", "lz4_flex", "zstd-safe", "redis-compress"];
    Scenario { name, about, pin: Placement::Split, turn: TURN, crates, stage: Stage::Server, less_of: None, contenders }
}

/// As many values of a size as there are to choose from.
const VALUES: usize = 64;

/// Records of a service, cut where the size is reached.
fn documents(size: usize) -> Arc<[Vec<u8>]> {
    (0..VALUES).map(|at| document(at as u64, size)).collect()
}

fn document(seed: u64, size: usize) -> Vec<u8> {
    const WORDS: [&str; 16] = [
        "steel", "kettle", "garden", "large", "blue", "lamp", "oak", "chair", "portable", "desk", "with", "soft",
        "light", "for", "kitchen", "winter",
    ];
    let mut dice = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = |bound: u64| {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        dice % bound
    };
    let mut text = String::from("[");
    while text.len() < size {
        let id = next(1 << 32);
        let title: Vec<_> = (0..3 + next(4)).map(|_| WORDS[next(16) as usize]).collect();
        text.push_str(&format!(
            r#"{{"id":{id},"title":"{}","price":{{"amount":{}.{:02},"currency":"EUR"}},"stock":{},"rating":{}.{},"tags":["{}","{}"],"updated":"2026-{:02}-{:02}T{:02}:{:02}:{:02}Z"}},"#,
            title.join(" "), next(900), next(100), next(500), next(5), next(10),
            WORDS[next(16) as usize], WORDS[next(16) as usize],
            1 + next(12), 1 + next(28), next(24), next(60), next(60),
        ));
    }
    let mut bytes = text.into_bytes();
    bytes.truncate(size);
    bytes
}

fn ours(options: CompressOptions) -> Result<Compressor> {
    Ok(Compressor::new(options.threshold(1))?)
}

/// A frame, or the value where it stays as it is.
fn apply(compressor: &Compressor, value: &[u8]) -> Result<usize> {
    Ok(compressor.apply(value)?.map_or(value.len(), |frame| frame.len()))
}

fn writes(size: usize) -> BoxFuture<'static, Result<Contenders>> {
    Box::pin(async move {
        let values = documents(size);
        let compressor = ours(CompressOptions::default().level(6))?;
        let mut kept = codecs::Kept::default();
        ensure!(gunzip(&kept.compress(&values[0])?, size)? == values[0], "not gzip");
        Ok(vec![
            Squeezing::of("zlib-rs, kept", &values, move |value| Ok(kept.compress(value)?.len())),
            Squeezing::of("redis-compress", &values, move |value| apply(&compressor, value)),
            Squeezing::of("flate2 (zlib-rs), fresh", &values, |value| Ok(codecs::fresh(value)?.len())),
            Squeezing::of("miniz, fresh", &values, |value| Ok(codecs::miniz(value).len())),
        ])
    })
}

fn reads(size: usize) -> BoxFuture<'static, Result<Contenders>> {
    Box::pin(async move {
        let values = documents(size);
        let compressor = ours(CompressOptions::default().level(6))?;
        let apply = |value: &Vec<u8>| Ok(compressor.apply(value)?.unwrap_or_default());
        let frames: Arc<[Vec<u8>]> = values.iter().map(apply).collect::<Result<_>>()?;
        let members: Arc<[Vec<u8>]> = values.iter().map(|value| codecs::fresh(value)).collect::<Result<_>>()?;
        let mut kept = codecs::Kept::default();
        ensure!(kept.decompress(&members[0], size)? == values[0], "not what it was");
        Ok(vec![
            Squeezing::of("zlib-rs, kept", &members, move |member| Ok(kept.decompress(member, size)?.len())),
            Squeezing::of("redis-compress", &frames, move |frame| Ok(compressor.revert(frame)?.len())),
            Squeezing::of("flate2 (zlib-rs), fresh", &members, |member| Ok(codecs::read_fresh(member)?.len())),
            Squeezing::of("miniz, fresh", &members, |member| Ok(codecs::read_miniz(member)?.len())),
        ])
    })
}

fn noise() -> BoxFuture<'static, Result<Contenders>> {
    Box::pin(async move {
        let values: Arc<[Vec<u8>]> = (0..VALUES).map(|_| (0..64 << 10).map(|_| rand::random()).collect()).collect();
        let compressor = ours(CompressOptions::default().level(6))?;
        ensure!(compressor.apply(&values[0])?.is_none(), "it is kept as it is");
        Ok(vec![
            Squeezing::of("a copy", &values, |value| Ok(std::hint::black_box(value.to_vec()).len())),
            Squeezing::of("redis-compress", &values, move |value| apply(&compressor, value)),
            Squeezing::of("flate2 (zlib-rs), fresh", &values, |value| Ok(codecs::fresh(value)?.len())),
        ])
    })
}

/// A store in memory, which answers at once.
struct Stored<S>(S);

impl<S: KvStore> Stored<S> {
    fn both(&self, value: &[u8]) -> Result<usize> {
        ensure!(at_once(self.0.set("key", value, SetOptions::default()))??, "not set");
        Ok(at_once(self.0.get("key"))??.map_or(0, |value| value.len()))
    }
}

fn at_once<T>(future: impl Future<Output = T>) -> Result<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Ok(done),
        Poll::Pending => bail!("it waits"),
    }
}

fn small() -> BoxFuture<'static, Result<Contenders>> {
    Box::pin(async move {
        let values = documents(1000);
        let (bare, compressor) = (Stored(MemoryStore::new()), Compressor::new(CompressOptions::default())?);
        let layer = Stored(Compressed::new(MemoryStore::new(), CompressOptions::default())?);
        Ok(vec![
            Squeezing::of("memory", &values, move |value| bare.both(value)),
            Squeezing::of("memory beneath the layer", &values, move |value| layer.both(value)),
            Squeezing::of("the transform alone", &values, move |value| apply(&compressor, value)),
        ])
    })
}

fn levels(size: usize) -> BoxFuture<'static, Result<Contenders>> {
    Box::pin(async move {
        let values = documents(size);
        let samples = (1000..3000).map(|seed| document(seed, size.min(4 << 10)));
        let dictionary = Dictionary::train(samples, 32 << 10)?;
        let row = |name, options: CompressOptions| Ok(Level::of(name, &values, ours(options.min_saving_percent(0))?));
        let gzip = |level| CompressOptions::default().level(level);
        let zstd = |level| CompressOptions::default().algorithm(Algorithm::Zstd).level(level);
        [
            row("gzip 6", gzip(6)),
            row("gzip 1", gzip(1)),
            row("gzip 2", gzip(2)),
            row("gzip 3", gzip(3)),
            row("gzip 4", gzip(4)),
            row("gzip 5", gzip(5)),
            row("gzip 9", gzip(9)),
            row("lz4", CompressOptions::default().algorithm(Algorithm::Lz4)),
            row("zstd 1", zstd(1)),
            row("zstd 3", zstd(3)),
            row("zstd 9", zstd(9)),
            row("zstd 19", zstd(19)),
            row("zstd 3, dictionary", zstd(3).dictionaries([dictionary])),
        ]
        .into_iter()
        .collect()
    })
}
