//! Sentinel: the master goes, and a client keeps working.
//!
//! Needs: a server with replicas and sentinels.
//!
//! Replicas follow a master; sentinels watch them all. When most of the sentinels agree that the master is gone they
//! promote a replica, and tell clients who ask. The client of such a group is given the sentinels' addresses, never the
//! master's. Replication does not wait: what the master had answered and not yet passed on is lost with it. Sentinel
//! keeps you available, not complete.

use anyhow::{Context, Result, ensure};
use kv_core::{Executed, KvStore, SetOptions};
use kv_redis::RedisStore;
use redis::{AsyncTypedCommands, cmd};
use std::time::{Duration, Instant};
use tokio::time::sleep;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let store = RedisStore::connect(&examples::redis_url()?).await?;
    let master = port(&store).await?;
    println!("the master is on port {master}");

    // A service that writes all the time, fifty times a second.
    let (mut answered, mut unsure, mut refused) = (Vec::new(), 0, 0);
    let (mut ended, mut back) = (None, None);
    let began = Instant::now();
    for at in 0.. {
        if at == 25 {
            // It ends, and says nothing to the sentinels. The answer is an error: the connection is gone.
            let gone = cmd("SHUTDOWN").arg("NOSAVE").exec_async(&mut store.connection()).await;
            ensure!(gone.is_err(), "the master stays");
            ended = Some(Instant::now());
        }
        let key = format!("guide:write:{at}");
        match store.set(&key, b"done", SetOptions::default()).await {
            Ok(_) => {
                answered.push(key);
                if let (Some(ended), None) = (ended, back)
                    && refused + unsure > 0
                {
                    back = Some(ended.elapsed());
                }
            }
            // Sent, and no answer: it may be done. This service can repeat it, since a second SET does no harm.
            Err(error) if error.executed() == Executed::Maybe => unsure += 1,
            Err(_) => refused += 1,
        }
        // Half a second more on the new master, then it is enough.
        if back.zip(ended).is_some_and(|(outage, ended)| ended.elapsed() > outage + Duration::from_millis(500)) {
            break;
        }
        ensure!(began.elapsed() < Duration::from_secs(60), "nobody is promoted");
        sleep(Duration::from_millis(20)).await;
    }
    let outage = back.context("it comes back")?;
    println!("{} writes answered, {unsure} unsure, {refused} refused, {outage:.1?} without a master", answered.len());
    assert!(refused + unsure > 0);

    // The same store leads to another server now; nobody has told it but the sentinels.
    let successor = port(&store).await?;
    println!("the master is on port {successor}");
    assert_ne!(master, successor);
    let role: Vec<redis::Value> = cmd("ROLE").query_async(&mut store.connection()).await?;
    assert_eq!(role[0], redis::Value::BulkString(b"master".to_vec()));

    // What was answered, and what of it there is: the difference is what the old master had not passed on.
    let keys: Vec<&str> = answered.iter().map(String::as_str).collect();
    let kept = store.mget(&keys).await?.into_iter().flatten().count();
    println!("{kept} of {} answered writes have survived", keys.len());
    assert!(kept > 0 && kept <= keys.len());
    // All that the new master has answered is there.
    assert!(store.exists(keys[keys.len() - 1]).await?);
    // Whoever must not lose a write asks for copies: WAIT says how many replicas have what this connection has written.
    // Even so an election may go wrong; money belongs in a database.
    // A new connection asks the sentinels, who may disagree for a moment yet.
    let mut own = loop {
        match store.dedicated("guide:write").await {
            Ok(own) => break own,
            Err(error) => ensure!(began.elapsed() < Duration::from_secs(60), "{error}"),
        }
        sleep(Duration::from_millis(20)).await;
    };
    own.set("guide:write:last", "done").await?;
    let copies: i64 = cmd("WAIT").arg(1).arg(5_000).query_async(&mut own).await?;
    println!("WAIT: on {copies} replica(s)");
    Ok(())
}

/// The port of the server that the store leads to, as it says itself.
async fn port(store: &RedisStore) -> Result<String> {
    let info: String = cmd("INFO").arg("server").query_async(&mut store.connection()).await?;
    let port = info.lines().find_map(|line| line.strip_prefix("tcp_port:"));
    Ok(port.context("INFO does not say")?.to_owned())
}
