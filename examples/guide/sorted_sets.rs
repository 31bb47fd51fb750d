//! Sorted sets: a leaderboard with ranks, ranges and ties.
//!
//! Needs: a server.
//!
//! Each member has a score, and the set is ordered by it at all times: a rank costs the logarithm of the size, so the
//! leaderboard of ten million players answers as fast as that of ten. A score is a 64-bit float: integers are exact up
//! to 2^53.

use anyhow::Result;
use redis::{AsyncCommands, Client, SortedSetAddOptions, UpdateCheck, aio::MultiplexedConnection};

const BOARD: &str = "guide:board";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut redis = Client::open(examples::redis_url()?)?.get_multiplexed_async_connection().await?;
    let _: () = redis.del(&[BOARD, "guide:fair"]).await?;
    let players = [(310, "ada"), (250, "bob"), (250, "eve"), (120, "joe"), (90, "kim")];
    let _: () = redis.zadd_multiple(BOARD, &players).await?;

    // Points are added inside the server, like any counter.
    assert_eq!(redis.zincr::<_, _, _, f64>(BOARD, "joe", 30).await?, 150.0);
    // A personal best only ever rises: GT refuses a lower score.
    let best = SortedSetAddOptions::add_or_update(Some(UpdateCheck::GT));
    let _: () = redis.zadd_options(BOARD, "kim", 20, &best).await?;
    assert_eq!(redis.zscore::<_, _, Option<f64>>(BOARD, "kim").await?, Some(90.0));

    // The top three. "Rev" is from the highest score down.
    let top: Vec<(String, f64)> = redis.zrevrange_withscores(BOARD, 0, 2).await?;
    println!("top: {top:?}");
    assert_eq!(top.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["ada", "eve", "bob"]);
    // By score, and how many.
    let middle: Vec<String> = redis.zrangebyscore(BOARD, 100, 250).await?;
    assert_eq!(middle, ["joe", "bob", "eve"]);
    assert_eq!(redis.zcount::<_, _, _, usize>(BOARD, "(150", "+inf").await?, 3);

    // The neighbours of a player: their rank (from 0), then the range around it.
    let at: isize = redis.zrevrank::<_, _, Option<isize>>(BOARD, "joe").await?.expect("joe plays");
    let around: Vec<String> = redis.zrevrange(BOARD, (at - 1).max(0), at + 1).await?;
    assert_eq!(around, ["bob", "joe", "kim"]);
    assert_eq!(redis.zrevrank::<_, _, Option<isize>>(BOARD, "nobody").await?, None);

    // Ties. ZREVRANK puts eve before bob, though they have the same points: among equals it goes by name.
    assert_eq!(redis.zrevrank::<_, _, Option<usize>>(BOARD, "eve").await?, Some(1));
    assert_eq!(redis.zrevrank::<_, _, Option<usize>>(BOARD, "bob").await?, Some(2));
    // The place as people count it is one more than the players who have more points: both are second, and joe is
    // fourth.
    for (name, expected) in [("ada", 1), ("bob", 2), ("eve", 2), ("joe", 4)] {
        assert_eq!(place(&mut redis, name).await?, Some(expected));
        println!("{name} has place {expected}");
    }

    // Who got there first wins the tie: the score has the points above and the time, counted down, below.
    // 2^21 seconds are 24 days of a season; the points have the other 32 of the 53 bits.
    const SEASON: i64 = 1 << 21;
    let score = |points: i64, second: i64| points * SEASON + (SEASON - 1 - second);
    let _: () = redis.zadd_multiple("guide:fair", &[(score(250, 900), "eve"), (score(250, 100), "bob")]).await?;
    assert_eq!(redis.zrevrange::<_, Vec<String>>("guide:fair", 0, -1).await?, ["bob", "eve"]);
    let bobs: f64 = redis.zscore("guide:fair", "bob").await?;
    assert_eq!(bobs as i64 / SEASON, 250);

    // Only the best four are kept: everyone below goes in one call, which can follow each write.
    assert_eq!(redis.zremrangebyrank::<_, usize>(BOARD, 0, -5).await?, 1);
    assert_eq!(redis.zcard::<_, usize>(BOARD).await?, 4);

    let _: () = redis.del(&[BOARD, "guide:fair"]).await?;
    Ok(())
}

/// The place on the board, equal points sharing one. Two calls: between them the board may move, which a glance does
/// not mind.
async fn place(redis: &mut MultiplexedConnection, name: &str) -> Result<Option<usize>> {
    let Some(points) = redis.zscore::<_, _, Option<f64>>(BOARD, name).await? else { return Ok(None) };
    let better: usize = redis.zcount(BOARD, format!("({points}"), "+inf").await?;
    Ok(Some(better + 1))
}
