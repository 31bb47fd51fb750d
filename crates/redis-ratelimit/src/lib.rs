#![doc = include_str!("../README.md")]

mod algorithm;
mod ban;
mod bucket;
mod check_many;
#[cfg(feature = "compat")]
pub mod compat;
mod concurrency;
mod decision;
mod front;
mod gcra;
mod limiter;
mod limits;
mod options;
mod quota;
mod refund;
mod reserve;
mod script;
#[cfg(feature = "tower")]
pub mod tower;
mod window;

pub use concurrency::{ConcurrencyDecision, ConcurrencyLimiter, ConcurrencyOptions, Slot, SlotRelease};
pub use front::{Answer, FailurePolicy, FrontLimiter, FrontOptions, LeaseOptions, Source};
/// The contract this crate is built on, with the stores' traits and `MemoryStore`.
pub use kv_core;
pub use kv_core::BreakerOptions;
pub use limits::{RateLimits, Verdict};
pub use {
    algorithm::Algorithm,
    ban::BanOptions,
    decision::{Decision, Grant},
    limiter::RateLimiter,
    options::RateLimitOptions,
    quota::Quota,
    reserve::{Reservation, ReserveDecision},
    script::SCRIPTS,
};
