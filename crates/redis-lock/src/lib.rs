#![doc = include_str!("../README.md")]

mod backend;
mod error;
mod guard;
mod manager;
mod options;
mod reaper;
mod script;

/// The contract this crate is built on, with the stores' traits and `MemoryStore`.
pub use kv_core;
pub use {
    error::LockError,
    guard::{LockGuard, Release},
    manager::{LockManager, TryAcquire},
    options::LockOptions,
    script::SCRIPTS,
};
