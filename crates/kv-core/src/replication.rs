use crate::{Arg, Reply, Result, Script};
use async_trait::async_trait;
use std::time::Duration;

/// The capability of waiting until replicas have what was written.
///
/// A write that replicas acknowledged is less likely to be lost by a failover, and no more than that: the replica that is promoted may be
/// another (<https://redis.io/docs/latest/commands/wait/>).
#[async_trait]
pub trait Replication: Send + Sync {
    /// Runs a script, and waits until so many replicas have what it wrote, no longer than `wait`; its reply, and how many have it.
    ///
    /// The keys must share a hash slot. One round trip on a connection of its own, two the first time a server sees the script. Fewer
    /// replicas than asked for is no error. Dropping the future ends the wait; the script may have been executed.
    #[doc(alias = "WAIT")]
    async fn run_and_wait(
        &self,
        script: &Script,
        keys: &[&str],
        args: &[Arg<'_>],
        replicas: u32,
        wait: Duration,
    ) -> Result<(Reply, u32)>;
}
