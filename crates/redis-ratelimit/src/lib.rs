#![doc = include_str!("../README.md")]

mod decision;
mod gcra;
mod limiter;
mod options;
mod quota;
mod script;

/// The contract this crate is built on, with the stores' traits and `MemoryStore`.
pub use kv_core;
pub use {decision::Decision, limiter::RateLimiter, options::RateLimitOptions, quota::Quota, script::SCRIPTS};
