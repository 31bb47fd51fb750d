//! Batches: MGET and MSET, pipelines, transactions with WATCH, and their throughput side by side.
//!
//! Needs: a server.
//!
//! A command takes the server a microsecond and the network a hundred: what is slow is waiting for each reply before
//! the next command is sent.
//! | | round trips | atomic |
//! |---|---|---|
//! | one by one | one each | each |
//! | MGET, MSET | one | yes |
//! | pipeline | one | no: others' commands may come in between, and one may fail while the rest is done |
//! | MULTI/EXEC | one | yes: nobody sees half of it, but nothing is undone if one fails |

use anyhow::Result;
use redis::{AsyncTypedCommands, Client, aio::MultiplexedConnection, cmd, pipe};
use std::time::Instant;

const COUNT: usize = 2_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let client = Client::open(examples::redis_url()?)?;
    let mut redis = client.get_multiplexed_async_connection().await?;
    let keys: Vec<String> = (0..COUNT).map(|at| format!("guide:batch:{at}")).collect();
    let entries: Vec<(&String, usize)> = keys.iter().zip(0..).collect();

    let began = Instant::now();
    for (key, value) in &entries {
        redis.set(*key, *value).await?;
    }
    let one_by_one = rate("SET one by one", began);

    let began = Instant::now();
    let mut sets = pipe();
    for (key, value) in &entries {
        sets.set(*key, *value).ignore();
    }
    sets.exec_async(&mut redis).await?;
    let pipelined = rate("SET in a pipeline", began);

    let began = Instant::now();
    let mut sets = pipe();
    sets.atomic();
    for (key, value) in &entries {
        sets.set(*key, *value).ignore();
    }
    sets.exec_async(&mut redis).await?;
    rate("SET in MULTI/EXEC", began);

    let began = Instant::now();
    redis.mset(&entries).await?;
    let together = rate("MSET", began);

    let began = Instant::now();
    let values: Vec<Option<String>> = redis.mget(&keys).await?;
    rate("MGET", began);
    assert!(values.iter().zip(0..).all(|(value, at)| *value == Some(at.to_string())));
    assert!(pipelined > 2.0 * one_by_one && together > 2.0 * one_by_one);

    // In a pipeline an error is one command's; the others are done.
    redis.set("guide:batch:0", "word").await?;
    let mut mixed = pipe();
    mixed.incr("guide:batch:0", 1).set("guide:batch:1", "done");
    let error = mixed.exec_async(&mut redis).await.expect_err("a word cannot be counted");
    println!("pipeline: {error}");
    assert_eq!(redis.get("guide:batch:1").await?.as_deref(), Some("done"));

    // A transaction that depends on what it reads: WATCH, read, then MULTI/EXEC, which does nothing if a watched key
    // has changed. It is a state of the connection, so it needs one of its own.
    redis.mset(&[("guide:account:ada", 100), ("guide:account:bob", 0)]).await?;
    let mut tellers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let mut own = client.get_multiplexed_async_connection().await?;
        tellers.spawn(async move {
            let mut conflicts = 0;
            for _ in 0..5 {
                while !transfer(&mut own, 5).await? {
                    conflicts += 1;
                }
            }
            anyhow::Ok(conflicts)
        });
    }
    let mut conflicts = 0;
    while let Some(teller) = tellers.join_next().await {
        conflicts += teller??;
    }
    let accounts = redis.mget(&["guide:account:ada", "guide:account:bob"]).await?;
    assert_eq!(accounts, [Some("0".into()), Some("100".into())]);
    println!("20 transfers by four tellers, {conflicts} begun again: if often, see `lua_scripts`");

    redis.unlink(&keys).await?;
    redis.del(&["guide:account:ada", "guide:account:bob"]).await?;
    Ok(())
}

/// Moves an amount from ada to bob; false if an account changed meanwhile.
async fn transfer(redis: &mut MultiplexedConnection, amount: i64) -> Result<bool> {
    cmd("WATCH").arg(&["guide:account:ada", "guide:account:bob"]).exec_async(redis).await?;
    let ada: i64 = redis.get("guide:account:ada").await?.unwrap_or_default().parse()?;
    let bob: i64 = redis.get("guide:account:bob").await?.unwrap_or_default().parse()?;
    let mut write = pipe();
    write.atomic().set("guide:account:ada", ada - amount).set("guide:account:bob", bob + amount);
    let written: Option<(String, String)> = write.query_async(redis).await?;
    Ok(written.is_some())
}

fn rate(what: &str, began: Instant) -> f64 {
    let rate = COUNT as f64 / began.elapsed().as_secs_f64();
    println!("{what:<20}{rate:>12.0} keys/s");
    rate
}
