mod leaving;
mod place;
mod reservation;
mod script;

pub use reservation::Reservation;
pub(crate) use {
    leaving::Leaving,
    script::{CANCEL, RESERVE},
};

use crate::RateLimiter;
use kv_core::{Error, Result};
use place::Found;
use std::time::Duration;

/// What [`reserve`](RateLimiter::reserve) gives.
#[derive(Debug)]
pub enum ReserveDecision {
    /// The request may go on when this is due; its cost is taken.
    Reserved(Reservation),
    /// The request would have to wait too long; nothing is taken.
    Denied {
        /// When the same reservation would be made, if nothing is taken before: a microsecond earlier it would not. `None` if never,
        /// because it asks for more than the burst.
        retry_after: Option<Duration>,
    },
}

impl ReserveDecision {
    /// Whether the request may go on, now or later.
    pub fn is_reserved(&self) -> bool {
        matches!(self, Self::Reserved(_))
    }

    /// The reservation, if there is one.
    pub fn reserved(self) -> Option<Reservation> {
        match self {
            Self::Reserved(reservation) => Some(reservation),
            Self::Denied { .. } => None,
        }
    }
}

impl RateLimiter {
    /// Asks for `n` at once, now or within `max_wait`: who comes first is due first. One round trip.
    ///
    /// What is reserved is taken, so that [`check`](Self::check) denies for as long as anybody waits. Zero is always due, and more than the
    /// burst never, without a round trip.
    ///
    /// Errors: [`InvalidInput`](kv_core::ErrorKind::InvalidInput) for a `max_wait` beyond
    /// [`longest_wait`](crate::RateLimitOptions::longest_wait); [`Unsupported`](kv_core::ErrorKind::Unsupported) for another
    /// [`Algorithm`](crate::Algorithm) than GCRA. One [that may have been executed](kv_core::Executed::Maybe), and a dropped future, may have
    /// taken a place; it is not asked for again, and stays empty.
    ///
    /// ```
    /// # use redis_ratelimit::{kv_core::MemoryStore, *}; use std::{sync::Arc, time::Duration};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), kv_core::Error> {
    /// let options = RateLimitOptions::default().longest_wait(Duration::from_secs(1));
    /// let limiter = RateLimiter::new(Arc::new(MemoryStore::new()), Quota::per_second(50).burst(1), options)?;
    /// let max_wait = Duration::from_millis(30);
    /// for _ in 0..2 {
    ///     let ReserveDecision::Reserved(reservation) = limiter.reserve("ada", 1, max_wait).await? else { panic!("soon") };
    ///     reservation.ready().await;
    /// }
    /// let first = limiter.reserve("ada", 1, max_wait).await?;
    /// assert!(first.is_reserved() && !limiter.reserve("ada", 1, max_wait).await?.is_reserved());
    /// # Ok(()) }
    /// ```
    #[doc(alias = "acquire")]
    #[doc(alias = "until_ready")]
    #[doc(alias = "block_until_ready")]
    pub async fn reserve(&self, id: &str, n: u64, max_wait: Duration) -> Result<ReserveDecision> {
        let leaving = self.leaving()?;
        if max_wait > self.longest_wait() {
            return Err(Error::invalid_input("ratelimit", "max_wait is beyond the longest_wait of the limiter"));
        }
        let key = self.key(id)?;
        if n == 0 {
            return Ok(ReserveDecision::Reserved(Reservation::new(None, Duration::ZERO)));
        }
        if n > self.quota().burst {
            return Ok(ReserveDecision::Denied { retry_after: None });
        }
        Ok(match leaving.line.enter(key, n, max_wait).await? {
            Found::Place(place, wait) => {
                ReserveDecision::Reserved(Reservation::new(Some((place, leaving.clone())), wait))
            }
            Found::Full(retry_after) => ReserveDecision::Denied { retry_after: Some(retry_after) },
        })
    }
}
