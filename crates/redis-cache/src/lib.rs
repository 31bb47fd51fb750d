#![doc = include_str!("../README.md")]

mod cache;
mod entry;
mod error;
mod flight;
mod load;
mod options;
mod remote;
mod script;
mod stats;

/// The contract this crate is built on, with the stores' traits and `MemoryStore`.
pub use kv_core;
pub use {cache::Cache, error::CacheError, options::CacheOptions, remote::Lookup, script::SCRIPTS, stats::CacheStats};
