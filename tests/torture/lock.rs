//! Locks: no two hold one validly at once, fencing tokens grow, a register that compares them loses no update, nobody waits beyond a
//! deadline, and what the dead leave is gone in time.

mod ask;
mod event;
mod history;
mod play;
mod register;
mod report;
mod task;

pub(crate) use play::play;
pub(crate) use task::work;

use crate::LEASE;
use redis_lock::LockOptions;
use std::time::Duration;

const PREFIX: &str = "torture";
const CLAIM: Duration = Duration::from_millis(300);

fn options() -> LockOptions {
    LockOptions::default().prefix(PREFIX).lease(LEASE).claim(CLAIM)
}
