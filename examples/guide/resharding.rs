//! Resharding: a slot moves from one master to another, and four tasks count in it without noticing.
//!
//! Needs: a cluster.
//!
//! A cluster grows by moving slots. While one moves, its keys are in two places: the old owner has those that are left,
//! and answers ASK for one that has gone, which means "only this time, ask there"; once the slot has moved it answers
//! MOVED. A client that follows both needs no pause; neither answer is a command executed, so repeating it elsewhere
//! never counts twice.

use anyhow::{Context, Result};
use kv_core::{KvStore, SetOptions};
use kv_redis::{Connection, RedisStore};
use redis::{AsyncTypedCommands, Client, Cmd, aio::MultiplexedConnection, cmd};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::task::JoinSet;

#[tokio::main]
async fn main() -> Result<()> {
    let store = RedisStore::connect(&examples::redis_url()?).await?;
    // A thousand counters with one tag, and so in one slot.
    let counters: Vec<String> = (0..1_000).map(|at| format!("guide:{{moving}}:{at}")).collect();
    for counter in &counters {
        store.set(counter, b"0", SetOptions::default()).await?;
    }
    let moved = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    for task in 0..4 {
        let (store, counters, moved) = (store.clone(), counters.clone(), moved.clone());
        tasks.spawn(async move {
            let mut counted = 0;
            for counter in counters.iter().cycle().skip(250 * task) {
                // Through all of it at least once, so that every task meets the new owner.
                if moved.load(Ordering::Relaxed) && counted > counters.len() {
                    break;
                }
                // An error would end the program: there is none.
                store.incr_by(counter, 1).await?;
                counted += 1;
            }
            anyhow::Ok(counted)
        });
    }
    reshard(&mut store.connection(), "guide:{moving}:0").await?;
    moved.store(true, Ordering::Relaxed);
    let mut counted = 0;
    while let Some(task) = tasks.join_next().await {
        counted += task??;
    }
    let mut sum = 0;
    for value in store.connection().mget(&counters).await? {
        sum += value.context("a counter is lost")?.parse::<usize>()?;
    }
    let redirected = store.stats().redirected;
    println!("{counted} counts, {redirected} of them sent on to another node, none lost and none twice");
    assert_eq!(sum, counted);
    assert!(redirected > 0);

    store.delete(&counters.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    Ok(())
}

/// Moves the slot of a key to another master, as `redis-cli --cluster reshard` does.
async fn reshard(redis: &mut Connection, key: &str) -> Result<()> {
    let slot: u16 = cmd("CLUSTER").arg("KEYSLOT").arg(key).query_async(redis).await?;
    let (mut old, mut others) = (None, Vec::new());
    for master in masters(redis).await? {
        let mut look = cmd("CLUSTER");
        look.arg("COUNTKEYSINSLOT").arg(slot);
        let keys: usize = look.query_async(&mut connect(&master.1).await?).await?;
        if keys > 0 { old = Some(master) } else { others.push(master) }
    }
    let (old, new) = (old.context("somebody has the keys")?, others.pop().context("there are others")?);
    println!("slot {slot} moves from {} to {}", old.1, new.1);
    // The new owner is told first, so that nobody is sent to one that knows nothing of it.
    let (mut from, mut to) = (connect(&old.1).await?, connect(&new.1).await?);
    set_slot(slot, "IMPORTING", &old.0).exec_async(&mut to).await?;
    set_slot(slot, "MIGRATING", &new.0).exec_async(&mut from).await?;
    // Fifty keys at a time, each of which is at one place at any moment.
    let (host, port) = new.1.split_once(':').context("an address has a port")?;
    loop {
        let mut some = cmd("CLUSTER");
        let keys: Vec<String> = some.arg("GETKEYSINSLOT").arg(slot).arg(50).query_async(&mut from).await?;
        if keys.is_empty() {
            break;
        }
        let mut migrate = cmd("MIGRATE");
        migrate.arg(host).arg(port).arg("").arg(0).arg(5_000).arg("KEYS").arg(&keys);
        migrate.exec_async(&mut from).await?;
    }
    // Everybody is told, the new owner first again.
    set_slot(slot, "NODE", &new.0).exec_async(&mut to).await?;
    set_slot(slot, "NODE", &new.0).exec_async(&mut from).await?;
    for (_, other) in others {
        set_slot(slot, "NODE", &new.0).exec_async(&mut connect(&other).await?).await?;
    }
    Ok(())
}

fn set_slot(slot: u16, state: &str, node: &str) -> Cmd {
    let mut command = cmd("CLUSTER");
    command.arg("SETSLOT").arg(slot).arg(state).arg(node);
    command
}

/// The ids and addresses of the masters.
async fn masters(redis: &mut Connection) -> Result<Vec<(String, String)>> {
    let nodes: String = cmd("CLUSTER").arg("NODES").query_async(redis).await?;
    let nodes = nodes.lines().map(|line| line.split(' ').collect::<Vec<_>>()).filter(|node| node[2].contains("master"));
    Ok(nodes.map(|node| (node[0].to_owned(), node[1].split('@').next().unwrap_or_default().to_owned())).collect())
}

async fn connect(address: &str) -> Result<MultiplexedConnection> {
    Ok(Client::open(format!("redis://{address}"))?.get_multiplexed_async_connection().await?)
}
