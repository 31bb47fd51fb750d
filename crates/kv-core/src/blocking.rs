use crate::Result;
use async_trait::async_trait;
use bytes::Bytes;
use std::time::Duration;

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Where the oldest element of a queue is: Redis' left.
    #[doc(alias = "LEFT")]
    Front,
    /// Where a queue takes new elements: Redis' right.
    #[doc(alias = "RIGHT")]
    Back,
}

/// The capability of waiting for an element of a list, on a lane of its own: nobody else waits behind it.
///
/// Waits are whole milliseconds, rounded up; zero takes what is there and waits for nothing. A dropped wait loses no element that
/// this process knows of. A process that dies while it takes one does: [`move_to`](Self::move_to) keeps such an element in
/// the second list.
#[async_trait]
pub trait BlockingStore: Send + Sync {
    /// Adds elements one by one at an end of a list, and returns its new length. Not idempotent.
    #[doc(alias("LPUSH", "RPUSH"))]
    async fn push(&self, key: &str, end: End, elements: &[&[u8]]) -> Result<u64>;

    /// Takes an element from an end of the first of the lists that has one; `None` when none came in time. Returns the list, too.
    ///
    /// The keys must share a hash slot.
    #[doc(alias("BLPOP", "BRPOP"))]
    async fn pop(&self, keys: &[&str], end: End, wait: Duration) -> Result<Option<(String, Bytes)>>;

    /// Takes an element from an end of one list and adds it at an end of another, atomically; `None` when none came in time.
    ///
    /// The keys must share a hash slot. A wait that is dropped may still move one element, which is then in the second list.
    #[doc(alias = "BLMOVE")]
    async fn move_to(&self, from: (&str, End), to: (&str, End), wait: Duration) -> Result<Option<Bytes>>;
}
