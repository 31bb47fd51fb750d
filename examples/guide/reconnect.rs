//! Reconnecting, seen live: the server is killed and comes back.
//!
//! Needs: nothing.
//!
//! It starts a server of its own, to kill it. A multiplexed connection of redis-rs is dead for good when its socket is;
//! something has to open another. Our store does: each call fails fast while nobody listens, and the first after the
//! return succeeds, without a call from us.

use anyhow::{Result, ensure};
use examples::RedisServer;
use kv_core::{Executed, KvStore, SetOptions};
use kv_redis::RedisStore;
use redis::{AsyncTypedCommands, Client};
use std::time::{Duration, Instant};
use tokio::time::sleep;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut server = RedisServer::start(&[])?;
    let mut plain = Client::open(server.url())?.get_multiplexed_async_connection().await?;
    let store = RedisStore::connect(&server.url()).await?;
    store.set("guide:value", b"1", SetOptions::default()).await?;

    // Whatever is under way when the server dies gets an error; none hangs.
    server.kill()?;
    let died = Instant::now();
    let (mut failed, mut longest) = (0, Duration::ZERO);
    while died.elapsed() < Duration::from_millis(500) {
        let began = Instant::now();
        let error = store.get("guide:value").await.expect_err("nobody is there");
        longest = longest.max(began.elapsed());
        assert!(error.is_temporary());
        if failed == 0 {
            println!("down:  {error}");
        }
        failed += 1;
        sleep(Duration::from_millis(10)).await;
    }
    println!("{failed} calls fail, the slowest within {longest:?}");
    assert!(longest < store.options().deadline + Duration::from_secs(1));
    // A write that nobody can have received is known not to be done.
    let error = store.incr_by("guide:count", 1).await.expect_err("nobody is there");
    assert_eq!(error.executed(), Executed::No);

    server.restart()?;
    let returned = Instant::now();
    // Attempts to connect are paced, so that a thousand clients do not fall upon a server that has just come up.
    let value = loop {
        match store.get("guide:value").await {
            Ok(value) => break value,
            Err(_) => sleep(Duration::from_millis(10)).await,
        }
        ensure!(returned.elapsed() < Duration::from_secs(30), "it does not come back");
    };
    let stats = store.stats();
    println!("back after {:?}: {} connections opened in all", returned.elapsed(), stats.connected);
    assert!(stats.connected >= 2 && stats.retired >= 1);
    // This server keeps nothing on disk, so it is empty: see `persistence`. Who caches has to expect that.
    assert_eq!(value, None);

    // The plain connection never notices that the server is back.
    let error = plain.ping().await.expect_err("its socket is gone");
    println!("plain: {error}");
    assert!(plain.ping().await.is_err());
    Ok(())
}
