use super::{Around, Call};
use crate::{Error, ErrorKind, Result};
use std::time::Duration;
use tokio::time::timeout;

/// A layer that gives each try so much time, and [what it may wait by itself](Call::wait) on top.
///
/// A try that takes longer is dropped: [`ErrorKind::Timeout`], and it may have been executed.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    each: Duration,
}

impl Deadline {
    /// A deadline for each try; it must not be zero.
    pub fn new(each: Duration) -> Result<Self> {
        if each.is_zero() {
            return Err(Error::invalid_config("layers", "deadline must not be zero"));
        }
        Ok(Self { each })
    }
}

impl Around for Deadline {
    async fn around<T: Send>(&self, mut call: Call<'_, T>) -> Result<T> {
        let time = self.each.saturating_add(call.wait());
        timeout(time, call.run())
            .await
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Timeout, call.name()).with_detail("deadline passed")))
    }
}
