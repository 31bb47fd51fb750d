//! A line of the table.

use std::time::Duration;

/// What an algorithm makes of one kind of key.
pub(crate) struct Measured {
    pub(crate) name: String,
    /// Bytes in Redis.
    pub(crate) stored: usize,
    /// How many values are kept compressed.
    pub(crate) compressed: usize,
    /// For each value.
    pub(crate) written: Duration,
    /// For each that is compressed.
    pub(crate) read: Duration,
}
