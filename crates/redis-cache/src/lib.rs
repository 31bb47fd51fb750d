#![doc = include_str!("../README.md")]

mod away;
mod batch;
#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;
mod bloom;
mod cache;
mod clock;
mod entry;
mod error;
mod flight;
mod found;
mod generations;
mod guard;
mod hot;
mod kept;
mod lease;
mod load;
mod many;
mod message;
mod near;
mod news;
mod options;
mod parts;
mod permits;
mod read;
mod refresh;
mod remote;
mod script;
mod stats;
mod tagged;
mod tags;
mod tracked;
mod update;
mod version;
mod write;

/// The contract this crate is built on, with the stores' traits and `MemoryStore`.
pub use kv_core;
pub use kv_core::BreakerOptions;
pub use {
    away::WhenAway,
    bloom::{BLOOM_SCRIPTS, BloomGuard, BloomOptions, BloomRebuild, BloomStats},
    cache::Cache,
    error::CacheError,
    found::Lookup,
    guard::Guard,
    hot::{HotKey, HotKeyOptions},
    near::{NearOptions, WhileLinkDown},
    options::CacheOptions,
    script::SCRIPTS,
    stats::CacheStats,
    tagged::Tagged,
};
