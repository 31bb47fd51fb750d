#![doc = include_str!("../README.md")]

mod connection;
mod error;
mod link;
mod options;
mod pubsub;
mod script;
mod store;

/// The contract this crate implements.
pub use kv_core;
/// The redis-rs this crate is built on, for those who use [`RedisStore::connection`].
pub use redis;
pub use {connection::Connection, options::RedisOptions, store::RedisStore};
