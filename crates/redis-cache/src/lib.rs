#![doc = include_str!("../README.md")]

mod cache;
mod entry;
mod error;
mod flight;
mod load;
mod options;
mod script;
mod stats;

/// The contract this crate is built on, with the stores' traits and `MemoryStore`.
pub use kv_core;
pub use {
    cache::{Cache, Lookup},
    error::CacheError,
    options::CacheOptions,
    script::SCRIPTS,
    stats::CacheStats,
};
