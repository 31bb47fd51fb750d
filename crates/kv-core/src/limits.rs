use crate::{Arg, Error, Result};
use std::time::Duration;

/// What a store accepts, checked before anything is sent.
///
/// The defaults are Redis': keys and values of up to 512 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The longest key, in bytes. Default: 512 MiB.
    pub max_key_bytes: usize,
    /// The largest value, in bytes. Default: 512 MiB, which is Redis' `proto-max-bulk-len`.
    pub max_value_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_key_bytes: 512 << 20, max_value_bytes: 512 << 20 }
    }
}

impl Limits {
    /// The longest TTL, about 35,000 years, so that adding it to a time never overflows on either side.
    pub const MAX_TTL_MILLIS: u64 = 1 << 50;

    /// Sets [`max_value_bytes`](Self::max_value_bytes).
    #[must_use]
    pub fn max_value_bytes(mut self, bytes: usize) -> Self {
        self.max_value_bytes = bytes;
        self
    }

    /// Refuses an empty or oversized key.
    pub fn check_key(&self, operation: &'static str, key: &str) -> Result<()> {
        if key.is_empty() {
            return Err(Error::invalid_input(operation, "key must not be empty"));
        }
        if key.len() > self.max_key_bytes {
            return Err(Error::invalid_input(
                operation,
                format!("key of {} bytes, limit {}", key.len(), self.max_key_bytes),
            ));
        }
        Ok(())
    }

    /// Refuses an empty or oversized key among many.
    pub fn check_keys(&self, operation: &'static str, keys: &[&str]) -> Result<()> {
        keys.iter().try_for_each(|key| self.check_key(operation, key))
    }

    /// Refuses no prefix at all, and one that is longer than a key.
    pub fn check_prefixes(&self, operation: &'static str, prefixes: &[&str]) -> Result<()> {
        if prefixes.is_empty() {
            return Err(Error::invalid_input(operation, "no prefix given"));
        }
        prefixes.iter().filter(|prefix| !prefix.is_empty()).try_for_each(|prefix| self.check_key(operation, prefix))
    }

    /// Refuses an oversized value.
    pub fn check_value(&self, operation: &'static str, value: &[u8]) -> Result<()> {
        if value.len() > self.max_value_bytes {
            return Err(Error::invalid_input(
                operation,
                format!("value of {} bytes, limit {}", value.len(), self.max_value_bytes),
            ));
        }
        Ok(())
    }

    /// Refuses an empty key or an oversized argument of a script.
    pub fn check_call(&self, operation: &'static str, keys: &[&str], args: &[Arg<'_>]) -> Result<()> {
        self.check_keys(operation, keys)?;
        args.iter().try_for_each(|arg| match arg {
            Arg::Bytes(bytes) => self.check_value(operation, bytes),
            Arg::Int(_) => Ok(()),
        })
    }

    /// A TTL in whole milliseconds, rounded up; refuses zero and anything beyond [`MAX_TTL_MILLIS`](Self::MAX_TTL_MILLIS).
    pub fn ttl_millis(operation: &'static str, ttl: Duration) -> Result<i64> {
        let millis = ttl.as_nanos().div_ceil(1_000_000);
        if millis == 0 {
            return Err(Error::invalid_input(operation, "ttl must not be zero"));
        }
        if millis > u128::from(Self::MAX_TTL_MILLIS) {
            return Err(Error::invalid_input(operation, "ttl is longer than 2^50 milliseconds"));
        }
        Ok(millis as i64)
    }
}
