use kv_core::{Error, ErrorKind, Reply, Result};
use std::time::Duration;

/// A lock, looked at from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockState {
    /// Whether anybody holds it.
    pub held: bool,
    /// The holder's [label](crate::LockOptions::label).
    pub label: Option<String>,
    /// How long the lease still runs; `None` for a holder without one, or no holder.
    pub remaining: Option<Duration>,
    /// How many wait in line: managers, each with any number of tasks.
    pub waiting: u64,
    /// The last fencing token that was reserved.
    pub last_fencing_token: Option<u64>,
}

impl LockState {
    pub(crate) fn parse(reply: &[Reply]) -> Result<Self> {
        let [owner, Reply::Int(remaining), Reply::Int(waiting), fence] = reply else {
            return Err(Error::new(ErrorKind::UnexpectedReply, "inspect"));
        };
        let text = |reply: &Reply| match reply {
            Reply::Bytes(bytes) => std::str::from_utf8(bytes).ok().map(str::to_owned),
            _ => None,
        };
        Ok(Self {
            held: *owner != Reply::Nil,
            label: text(owner).and_then(|owner| label(&owner)),
            remaining: u64::try_from(*remaining).ok().map(Duration::from_millis),
            waiting: waiting.unsigned_abs(),
            last_fencing_token: text(fence).and_then(|fence| fence.parse().ok()).and_then(last),
        })
    }
}

fn label(owner: &str) -> Option<String> {
    let (_, label) = owner.split_once('/')?;
    let label = label.strip_suffix('*').unwrap_or(label);
    (!label.is_empty()).then(|| label.to_owned())
}

/// The counter is less by 2^53 while somebody may wait.
fn last(fence: i64) -> Option<u64> {
    let last = if fence < 0 { fence.checked_add(1 << 53)? } else { fence };
    u64::try_from(last).ok().filter(|last| *last > 0)
}
