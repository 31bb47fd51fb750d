//! Sections under one lock, and when they happened.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

/// What is timed of one section, in nanoseconds of a [`Clock`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) task: u64,
    /// The call to acquire begins.
    pub(super) asked: u64,
    /// It has returned.
    pub(super) got: u64,
    /// The call to release begins.
    pub(super) left: u64,
    /// Zero for a lock without fence.
    pub(super) fence: u64,
}

impl Section {
    pub(super) fn fields(self) -> [u64; 5] {
        [self.task, self.asked, self.got, self.left, self.fence]
    }

    pub(super) fn from_fields([task, asked, got, left, fence]: [u64; 5]) -> Self {
        Self { task, asked, got, left, fence }
    }
}

/// A steady clock that processes of one machine share: steps of the wall clock are of no harm but while it is made.
#[derive(Clone, Copy)]
pub(super) struct Clock {
    origin: Instant,
    unix: Duration,
}

impl Clock {
    pub(super) fn new() -> Result<Self> {
        let reading = |_| {
            let before = Instant::now();
            let wall = SystemTime::now();
            (before.elapsed(), before, wall)
        };
        // The shortest has nothing in between.
        let (_, origin, wall) = (0..100).map(reading).min_by_key(|(took, ..)| *took).context("no clock")?;
        Ok(Self { origin, unix: wall.duration_since(UNIX_EPOCH)? })
    }

    pub(super) fn now(self) -> u64 {
        (self.unix + self.origin.elapsed()).as_nanos() as u64
    }
}
