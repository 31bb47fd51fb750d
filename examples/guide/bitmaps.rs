//! Bitmaps: who was active today, on both days, in the week; a bit for each user.
//!
//! Needs: a server.
//!
//! A bitmap is a string of which single bits are set and counted: with user ids from 1 up, a million users take 125 kB
//! a day. The ids are positions, so they have to be dense: one large id makes the string as long.

use anyhow::Result;
use redis::{AsyncTypedCommands, Client, cmd};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut redis = Client::open(examples::redis_url()?)?.get_multiplexed_async_connection().await?;
    let [monday, tuesday, both, any] =
        ["guide:active:monday", "guide:active:tuesday", "guide:active:both", "guide:active:any"];
    let all = [monday, tuesday, both, any, "guide:sparse", "guide:sparse:set"];
    redis.del(&all).await?;

    // On Monday every third of 100,000 users comes, on Tuesday every fourth. A pipeline sends many commands at once:
    // see `batches`.
    for (day, every) in [(monday, 3), (tuesday, 4)] {
        let mut visits = redis::pipe();
        for user in (every..=100_000).step_by(every) {
            visits.setbit(day, user, true).ignore();
        }
        visits.exec_async(&mut redis).await?;
    }
    // Who comes twice is counted once: the reply is what the bit was.
    assert!(redis.setbit(monday, 3, true).await?);
    assert!(redis.getbit(monday, 9).await? && !redis.getbit(monday, 10).await?);

    let (on_monday, on_tuesday) = (redis.bitcount(monday).await?, redis.bitcount(tuesday).await?);
    assert_eq!((on_monday, on_tuesday), (33_333, 25_000));
    // Whole days are combined inside the server: on both days, and on any of them.
    redis.bit_and(both, &[monday, tuesday]).await?;
    redis.bit_or(any, &[monday, tuesday]).await?;
    let (returned, reached) = (redis.bitcount(both).await?, redis.bitcount(any).await?);
    assert_eq!(returned, 8_333, "the multiples of 12");
    assert_eq!(reached, on_monday + on_tuesday - returned);
    println!("monday {on_monday}, tuesday {on_tuesday}, both {returned}, any {reached}");
    // The size follows the largest id, not how many came.
    assert_eq!(redis.strlen(monday).await?, 99_999 / 8 + 1);

    // The first who came, and a part of all: BITCOUNT's range is in bytes, of eight users each.
    let first: i64 = cmd("BITPOS").arg(monday).arg(1).query_async(&mut redis).await?;
    assert_eq!(first, 3);
    assert_eq!(redis.bitcount_range(monday, 0, 1).await?, 5, "3, 6, 9, 12 and 15 of the first 16 ids");

    // One user whose id is large: a megabyte of zeros, where a set would hold one number.
    redis.setbit("guide:sparse", 8_000_000, true).await?;
    redis.sadd("guide:sparse:set", 8_000_000).await?;
    let bitmap: usize = cmd("MEMORY").arg("USAGE").arg("guide:sparse").query_async(&mut redis).await?;
    let set: usize = cmd("MEMORY").arg("USAGE").arg("guide:sparse:set").query_async(&mut redis).await?;
    println!("one user with a large id: {bitmap} bytes as a bitmap, {set} as a set");
    assert!(bitmap > 1_000_000 && set < 1_000);

    redis.del(&all).await?;
    Ok(())
}
