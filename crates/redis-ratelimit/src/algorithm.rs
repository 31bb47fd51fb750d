/// How a [`Quota`](crate::Quota) is counted. All count in whole numbers, by the server's clock, and a denial takes nothing.
///
/// Each keeps one key per id, named after the algorithm and, but for GCRA, the period: what was taken under another algorithm or period
/// counts no more, and does not come in the way. Another limit counts on with what was taken before.
///
/// ```
/// # use redis_ratelimit::{kv_core::MemoryStore, *}; use std::sync::Arc;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), kv_core::Error> {
/// let quota = Quota::per_minute(100).algorithm(Algorithm::SlidingLog);
/// let limiter = RateLimiter::new(Arc::new(MemoryStore::new()), quota, RateLimitOptions::default())?;
/// assert_eq!(limiter.check_n("ada", 98).await?.remaining(), 2);
/// assert_eq!(limiter.check_at_most("ada", 5).await?.granted, 2);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// The generic cell rate algorithm: a bucket of `burst` that refills evenly.
    ///
    /// Admits at most `burst + limit × t / period` in any span `t`. Some 128 bytes an id. After a change of the quota the bucket is as full
    /// in time as it was, but no more than full.
    #[default]
    #[doc(alias = "TokenBucket")]
    #[doc(alias = "LeakyBucket")]
    Gcra,
    /// Windows of one period, each from the first request that is admitted after the last one is over.
    ///
    /// Admits at most `limit` in a window, and so less than `2 × limit` in any period: one window's at its end, and the next one's at once.
    /// Some 176 bytes an id. A clock that jumps back moves the end of the window to one period from then. A lower limit counts at once,
    /// against what was taken in the window already.
    FixedWindow,
    /// Windows of one period, counted from 1970 by the server's clock: whole minutes, hours and days of UTC.
    ///
    /// Else as [`FixedWindow`](Self::FixedWindow), but that `2 × limit` can meet at the same instant, and all ids begin anew at the same time.
    /// Weeks begin on Thursdays. A clock that jumps back into an earlier window takes what was counted along to its end.
    AlignedWindow,
    /// Two aligned windows: what was taken in this one, and of the last one the share that still lies within a period. Rounded up.
    ///
    /// Takes the last window's requests for evenly spread. Where they came at its end, it admits less than `2 × limit` in a period; where they
    /// came at its start, it denies what a [`SlidingLog`](Self::SlidingLog) would admit. All is free after two periods at the latest, and after
    /// two more where a clock jumps back. Some 176 bytes an id. Under a lower limit either window counts for no more than that. A
    /// `limit × period` over 2^52 µs counts the share in larger steps, and never as less.
    #[doc(alias = "SlidingWindowCounter")]
    SlidingWindow,
    /// A log of all requests that were admitted within the last period.
    ///
    /// Exact: at most `limit` in any period, and never less. 12 bytes an admitted request, and as much again until it is cleared of what is
    /// over; therefore at most 100,000 a period. A check reads a few records, more where many are over, by the logarithm of their number; a
    /// refund copies the log. A clock that jumps back has what lies ahead happen then, and keeps nobody out for longer than a period. A
    /// lower limit counts at once, against all that was taken.
    #[doc(alias = "SlidingWindowLog")]
    SlidingLog,
    /// A bucket of `burst` that gets `limit` units all at once at the end of each period since the first was taken from the full one.
    ///
    /// Admits at most `burst + limit × ⌈t / period⌉` in any span `t`. Some 176 bytes an id. A clock that jumps back begins a new period. Under
    /// a lower burst the bucket lacks as much as before, but no more than all.
    #[doc(alias = "TokenBucket")]
    IntervalRefill,
}
