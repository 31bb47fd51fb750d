#![doc = include_str!("../README.md")]

mod blocking;
mod cluster;
mod connection;
mod dedicated;
mod dial;
mod endpoint;
mod error;
mod gathered;
mod home;
mod kv;
mod lanes;
mod link;
mod node;
mod options;
mod pubsub;
mod replication;
mod scan;
mod script;
mod sentinel;
mod site;
mod source;
mod stats;
mod store;
mod subscriber;
mod target;
#[cfg(feature = "tls")]
mod tls;
mod tracking;
mod transport;
mod waiting;

/// The contract this crate implements.
pub use kv_core;
/// The redis-rs this crate is built on, for those who use [`RedisStore::connection`].
pub use redis;
pub use {
    connection::Connection,
    dedicated::Dedicated,
    options::{PoolOptions, ReadFrom, RedisOptions, TlsOptions},
    pubsub::ShardedPubSub,
    stats::Stats,
    store::RedisStore,
};
