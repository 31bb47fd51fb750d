#![doc = include_str!("../README.md")]

mod error;
mod options;
mod pubsub;
mod script;
mod store;

/// The contract this crate implements.
pub use kv_core;
/// The redis-rs this crate is built on, for those who use [`RedisStore::connection`].
pub use redis;
pub use {options::RedisOptions, store::RedisStore};
