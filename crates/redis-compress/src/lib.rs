#![doc = include_str!("../README.md")]

mod algorithm;
mod checksum;
mod compressed;
mod compressor;
#[cfg(feature = "zstd")]
mod dictionary;
mod gzip;
#[cfg(feature = "lz4")]
mod lz4;
mod noise;
mod offload;
mod options;
mod state;
mod stored;
#[cfg(feature = "zstd")]
mod zstd;

/// The contract this crate is built on, with the stores' traits and `MemoryStore`.
pub use kv_core;
pub use {
    algorithm::Algorithm,
    compressed::Compressed,
    compressor::Compressor,
    gzip::{gunzip, gzip},
    options::{CompressOptions, Format},
};

#[cfg(feature = "zstd")]
pub use dictionary::Dictionary;

fn corrupt(detail: &'static str) -> kv_core::Error {
    kv_core::Error::new(kv_core::ErrorKind::Corrupt, "decompress").with_detail(detail)
}
