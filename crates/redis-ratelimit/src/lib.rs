#![doc = include_str!("../README.md")]

mod concurrency;
mod decision;
mod gcra;
mod limiter;
mod options;
mod quota;
mod script;

pub use concurrency::{ConcurrencyDecision, ConcurrencyLimiter, ConcurrencyOptions, Slot, SlotRelease};
/// The contract this crate is built on, with the stores' traits and `MemoryStore`.
pub use kv_core;
pub use {decision::Decision, limiter::RateLimiter, options::RateLimitOptions, quota::Quota, script::SCRIPTS};
