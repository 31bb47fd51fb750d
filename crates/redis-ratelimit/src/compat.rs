//! Limiters that share their state with those of other languages, so that both enforce one limit together.
//!
//! For services that move, or that live beside others for good. What is kept in Redis is the other library's to the last digit, its
//! defects included; decisions say what is true of it. A service of its own is better off with [`RateLimiter`](crate::RateLimiter).
//! Keys are the other library's as well: nothing is escaped, and in a cluster an id with braces chooses its slot.

mod flexible;
mod redis_rate;
mod tat;
mod window;

use kv_core::{Error, ErrorKind, Reply, Result, Script};
pub use {
    flexible::{Flexible, FlexibleOptions},
    redis_rate::{RedisRate, RedisRateOptions},
};

/// Every script of this module, for those who audit, preload or compare them.
pub static SCRIPTS: [&Script; 2] = [&tat::REDIS_RATE, &window::FLEXIBLE];

fn key(prefix: &str, id: &str) -> Result<String> {
    if id.is_empty() {
        return Err(Error::invalid_input("key", "key must not be empty"));
    }
    Ok(format!("{prefix}{id}"))
}

/// Two integers that are not negative, which both scripts return.
fn pair(reply: Reply, operation: &'static str) -> Result<(u64, u64)> {
    let wrong = || Error::new(ErrorKind::UnexpectedReply, operation).with_detail("expected two integers");
    let [first, second] = <[_; 2]>::try_from(reply.into_array(operation)?).map_err(|_| wrong())?;
    let natural = |reply: Reply| u64::try_from(reply.into_int(operation)?).map_err(|_| wrong());
    Ok((natural(first)?, natural(second)?))
}
