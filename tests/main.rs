//! One suite, every backend: each test is an `async fn(Backend)` that runs on memory, on Redis in both protocols, with a pool, in
//! a cluster, behind sentinels, on a connection the caller made, and through the compressing layer.

#![cfg(test)]

mod backend;
mod ban;
mod blocking;
mod bloom;
mod cache;
mod cancellation;
mod chunked;
mod cluster;
mod compat;
mod compress;
mod concurrency;
mod config;
mod conformance;
mod cost;
mod differential;
mod embed;
mod faults;
mod front;
mod key;
mod layers;
mod limits;
mod link;
mod lock;
mod memory;
mod pool;
mod pubsub;
mod quorum;
mod ratelimit;
mod reserve;
mod room;
mod script;
mod scripted;
mod sentinel;
mod store;
mod stress;
mod tls;
mod tower;
mod tracking;
mod windows;
