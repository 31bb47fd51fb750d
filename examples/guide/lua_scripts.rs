//! Lua: compare-and-set, a counter with expiry, and what the versions in two commands do wrong.
//!
//! Needs: a server.
//!
//! A script runs inside the server, and nothing else runs meanwhile: what it reads cannot change before it writes. It
//! is the answer to everything of the form "look, then do". It has to be short, since all others wait; it names all its
//! keys in KEYS, so that a cluster knows where it belongs; and it returns integers, since fractions are cut off.

use anyhow::Result;
use redis::aio::MultiplexedConnection;
use redis::{AsyncTypedCommands, Client, IntegerReplyOrNoOp::ExistsButNotRelevant, Script, cmd};
use std::sync::LazyLock;

/// Writes the new value if the key holds the old one; 1 if it did.
static COMPARE_AND_SET: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('GET', KEYS[1]) == ARGV[1] then
             redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
             return 1
         end
         return 0",
    )
});

/// Counts, and gives the counter its expiry with the first count. PTTL is -1 for a counter that somebody left without
/// one.
static COUNT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local count = redis.call('INCR', KEYS[1])
         if redis.call('PTTL', KEYS[1]) == -1 then
             redis.call('PEXPIRE', KEYS[1], ARGV[1])
         end
         return count",
    )
});

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut redis = Client::open(examples::redis_url()?)?.get_multiplexed_async_connection().await?;
    redis.del(&["guide:stock", "guide:tries"]).await?;

    // One kettle, two customers. In two commands both read 1, and both write 0: it is sold twice.
    redis.set("guide:stock", 1).await?;
    let (ada, bob) = (stock(&mut redis).await?, stock(&mut redis).await?);
    let mut sold = 0;
    for seen in [ada, bob] {
        if seen > 0 {
            redis.set("guide:stock", seen - 1).await?;
            sold += 1;
        }
    }
    println!("GET and SET sell {sold} of 1 kettle");
    assert_eq!(sold, 2);

    // Compared in the server, the second write fails: what bob has seen is not so any more.
    redis.set("guide:stock", 1).await?;
    let (ada, bob) = (stock(&mut redis).await?, stock(&mut redis).await?);
    let mut sold = 0;
    for seen in [ada, bob] {
        // The library sends the hash of the script (EVALSHA), and its text when the server does not know it.
        let mut write = COMPARE_AND_SET.key("guide:stock");
        let written: bool = write.arg(seen).arg(seen - 1).invoke_async(&mut redis).await?;
        sold += usize::from(written);
    }
    println!("compare-and-set sells {sold}");
    assert_eq!((sold, stock(&mut redis).await?), (1, 0));

    // A limit of five tries an hour, as it stands in many a tutorial: INCR, and EXPIRE if it was the first. The client
    // dies in between.
    assert_eq!(redis.incr("guide:tries", 1).await?, 1);
    // redis.expire("guide:tries", 3600).await?; — never sent.
    for _ in 0..5 {
        // The next ones are not the first, so nobody sets the expiry any more.
        if redis.incr("guide:tries", 1).await? == 1 {
            redis.expire("guide:tries", 3600).await?;
        }
    }
    println!("INCR, then EXPIRE: {:?} tries, which expire never", redis.get("guide:tries").await?);
    assert_eq!(redis.ttl("guide:tries").await?, ExistsButNotRelevant);

    // The script does both or neither, and mends the counter that the other left. Limits that are exact over time: see
    // `rate_limits`.
    let tries: i64 = COUNT.key("guide:tries").arg(3_600_000).invoke_async(&mut redis).await?;
    assert_eq!(tries, 7);
    assert_ne!(redis.ttl("guide:tries").await?, ExistsButNotRelevant);

    // Scripts are kept in memory, and lost with a restart or a failover; the library notices NOSCRIPT, and loads them
    // again.
    cmd("SCRIPT").arg("FLUSH").exec_async(&mut redis).await?;
    let tries: i64 = COUNT.key("guide:tries").arg(3_600_000).invoke_async(&mut redis).await?;
    assert_eq!(tries, 8);

    // What a script has written stays written when it fails after that: it is isolated, not undone.
    let broken = Script::new("redis.call('SET', KEYS[1], 'half') return redis.call('INCR', KEYS[1])");
    let error = broken.key("guide:stock").invoke_async::<i64>(&mut redis).await.expect_err("`half` is no number");
    println!("a script that fails: {error}");
    assert_eq!(redis.get("guide:stock").await?.as_deref(), Some("half"));
    // Numbers come back as integers, and 0.9 as none.
    let cut: i64 = Script::new("return 0.9").invoke_async(&mut redis).await?;
    assert_eq!(cut, 0);

    redis.del(&["guide:stock", "guide:tries"]).await?;
    Ok(())
}

async fn stock(redis: &mut MultiplexedConnection) -> Result<i64> {
    Ok(redis.get("guide:stock").await?.unwrap_or_default().parse()?)
}
