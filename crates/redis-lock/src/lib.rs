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
mod room;
mod rw_lock;
mod script;
mod semaphore;
mod server;
mod state;
mod token;

/// The contract this crate is built on, with the stores' traits and `MemoryStore`.
pub use kv_core;
pub use {
    error::LockError,
    guard::{LockGuard, LockParts, Release, Whole},
    manager::{LockManager, TryAcquire},
    multi::MultiGuard,
    options::{KeyStyle, LockOptions},
    quorum::{QuorumAcquire, QuorumGuard, QuorumManager, QuorumOptions, Renewal},
    rw_lock::{ReadGuard, Reader, RwLock, RwState, WriteGuard, Writer},
    script::SCRIPTS,
    semaphore::{Permit, Permits, Semaphore, SemaphoreState},
    state::LockState,
};
