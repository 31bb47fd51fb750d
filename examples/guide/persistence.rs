//! Persistence: snapshots and the append-only file; `kill -9`, and count what survived.
//!
//! Needs: nothing.
//!
//! It starts servers of its own. Redis answers from memory, and what is on disk is a matter of configuration:
//! - RDB: a snapshot now and then (`save 60 1000`: after a minute, if there were a thousand writes). Small, fast to
//!   load; what came since is lost.
//! - AOF: every write is appended to a file. `appendfsync` says when it has to reach the disk: `always` before the
//!   answer, `everysec` within about a second, `no` when the system finds time.
//!
//! A process that is killed loses nothing that it had handed to the system: there all of the AOF settings are alike.
//! They differ when the machine loses power, which this program cannot show: then `always` keeps everything that was
//! answered, `everysec` loses up to two seconds.

use anyhow::{Result, ensure};
use examples::RedisServer;
use redis::{AsyncTypedCommands, Client, aio::MultiplexedConnection, cmd};
use std::time::{Duration, Instant};
use tokio::time::sleep;

const WRITES: usize = 500;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    println!("{:<28}{:>10}{:>10}{:>14}", "", "answered", "survived", "writes/s");

    // Nothing on disk: a cache.
    let (survived, _) = crash("none", &[], false).await?;
    assert_eq!(survived, 0);
    // A snapshot half way, as `save` would make it by itself: the second half is lost.
    let (survived, _) = crash("snapshot half way", &[], true).await?;
    assert_eq!(survived, WRITES / 2);
    // Every write in the file before it is answered.
    let aof = ["--appendonly", "yes", "--appendfsync"];
    let (survived, always) = crash("AOF, appendfsync always", &[&aof[..], &["always"]].concat(), false).await?;
    assert_eq!(survived, WRITES);
    // In the file, and on the disk a second later at the most; as a rule all of it survives the process.
    let (survived, everysec) = crash("AOF, appendfsync everysec", &[&aof[..], &["everysec"]].concat(), false).await?;
    assert!(survived <= WRITES);
    crash("AOF, appendfsync no", &[&aof[..], &["no"]].concat(), false).await?;
    println!("waiting for the disk costs a factor of {:.1} here", everysec / always);

    // The file grows with every write, so it is rewritten from time to time: as short as it takes to say the same.
    let mut server = RedisServer::start(&["--appendonly", "yes", "--auto-aof-rewrite-percentage", "0"])?;
    let mut redis = connect(&server).await?;
    for _ in 0..WRITES {
        redis.incr("guide:count", 1).await?;
    }
    let before = persistence(&mut redis, "aof_current_size").await?;
    cmd("BGREWRITEAOF").exec_async(&mut redis).await?;
    let started = Instant::now();
    while persistence(&mut redis, "aof_rewrite_in_progress").await? == 1
        || persistence(&mut redis, "aof_rewrite_scheduled").await? == 1
    {
        ensure!(started.elapsed() < Duration::from_secs(30), "the rewrite does not end");
        sleep(Duration::from_millis(10)).await;
    }
    let after = persistence(&mut redis, "aof_current_size").await?;
    println!("rewritten: the file of {before} bytes has {after}");
    assert!(after < before / 10);
    server.restart()?;
    assert_eq!(connect(&server).await?.get("guide:count").await?, Some(WRITES.to_string()));
    Ok(())
}

/// Writes one by one, kills the server after the last answer, starts it again and counts; also the writes per second.
async fn crash(name: &str, options: &[&str], snapshot: bool) -> Result<(usize, f64)> {
    let mut server = RedisServer::start(options)?;
    let mut redis = connect(&server).await?;
    let began = Instant::now();
    for at in 0..WRITES {
        if snapshot && at == WRITES / 2 {
            // SAVE holds up everybody; BGSAVE, which a child process writes, is what one uses.
            cmd("SAVE").exec_async(&mut redis).await?;
        }
        redis.set(format!("guide:entry:{at}"), at).await?;
    }
    let rate = WRITES as f64 / began.elapsed().as_secs_f64();
    server.restart()?;
    let survived: usize = cmd("DBSIZE").query_async(&mut connect(&server).await?).await?;
    println!("{name:<28}{WRITES:>10}{survived:>10}{rate:>14.0}");
    Ok((survived, rate))
}

/// A connection to a server that has loaded its data; until then it answers LOADING.
async fn connect(server: &RedisServer) -> Result<MultiplexedConnection> {
    let started = Instant::now();
    loop {
        let mut redis = Client::open(server.url())?.get_multiplexed_async_connection().await?;
        match redis.ping().await {
            Ok(_) => return Ok(redis),
            Err(error) => ensure!(started.elapsed() < Duration::from_secs(30), "{error}"),
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// A number from INFO.
async fn persistence(redis: &mut MultiplexedConnection, field: &str) -> Result<u64> {
    let info: String = cmd("INFO").arg("persistence").query_async(redis).await?;
    let value = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).unwrap_or_default();
    Ok(value.parse()?)
}
