mod attempt;
mod claim;
mod extension;
mod guard;
mod manager;
mod node;
mod options;
mod release;
mod round;
mod script;
mod servers;
mod standing;
mod sweeper;
mod tally;

pub(crate) use script::QUORUM_RELEASE;
pub use {
    extension::Renewal,
    guard::QuorumGuard,
    manager::{QuorumAcquire, QuorumManager},
    options::QuorumOptions,
};
