#![doc = include_str!("../README.md")]

mod backend;
mod cohort;
mod error;
mod guard;
mod holding;
mod keys;
mod lease;
mod mailbox;
mod manager;
mod multi;
mod options;
mod quorum;
mod reaper;
mod renewer;
mod request;
mod script;
mod server;
mod state;
mod token;

/// The contract this crate is built on, with the stores' traits and `MemoryStore`.
pub use kv_core;
pub use {
    error::LockError,
    guard::{LockGuard, LockParts, Release},
    manager::{LockManager, TryAcquire},
    multi::MultiGuard,
    options::{KeyStyle, LockOptions},
    quorum::{QuorumAcquire, QuorumGuard, QuorumManager, QuorumOptions, Renewal},
    script::SCRIPTS,
    state::LockState,
};
