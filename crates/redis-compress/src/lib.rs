#![doc = include_str!("../README.md")]

mod compressed;
mod gzip;
mod mark;
mod options;

/// The contract this crate is built on, with the stores' traits and `MemoryStore`.
pub use kv_core;
pub use {
    compressed::Compressed,
    gzip::{Gzip, gunzip, gzip},
    options::CompressOptions,
};
