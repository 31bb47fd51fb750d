use crate::{dice::Dice, task::Task};
use anyhow::{Context, Result};
use kv_core::KvStore;
use kv_redis::{RedisOptions, RedisStore};
use redis_lock::{LockManager, LockOptions};
use std::{
    io::Read,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// By this argument the program knows that it is a worker.
pub(crate) const ROLE: &str = "--work";
pub(crate) const PREFIX: &str = "torture";
pub(crate) const LEASE: Duration = Duration::from_millis(600);
pub(crate) const CLAIM: Duration = Duration::from_millis(300);
/// The longest a call may take.
pub(crate) const DEADLINE: Duration = Duration::from_millis(400);
/// The longest a worker may take to end.
pub(crate) const LONGEST: Duration = Duration::from_secs(15);
/// Tasks that share a manager, and all of them.
const SHARING: u64 = 3;
const TASKS: u64 = 5;

pub(crate) fn options() -> LockOptions {
    LockOptions::default().prefix(PREFIX).lease(LEASE).claim(CLAIM)
}

pub(crate) async fn connect(url: &str) -> Result<RedisStore> {
    let options = RedisOptions::default().deadline(DEADLINE).connect_timeout(DEADLINE).heartbeat(LEASE);
    Ok(RedisStore::connect_with(url, options).await?)
}

/// Locks until its input ends.
pub(crate) fn work(mut args: impl Iterator<Item = String>) -> Result<()> {
    let url = args.next().context("no url")?;
    let seed = args.next().context("no seed")?.parse()?;
    // A panic in any task, ours or not, is the end of all, and is missed.
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tell(panic);
        std::process::exit(101);
    }));
    let stop = Arc::new(AtomicBool::new(false));
    thread::spawn({
        let stop = stop.clone();
        move || {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            stop.store(true, Ordering::Relaxed);
            // Whoever still waits by then hangs.
            thread::sleep(LONGEST);
            std::process::exit(1);
        }
    });
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(tasks(&url, Dice::new(seed), &stop))
}

async fn tasks(url: &str, mut dice: Dice, stop: &Arc<AtomicBool>) -> Result<()> {
    // Started while the server was away, it comes when that does.
    let store = loop {
        match connect(url).await {
            Ok(store) => break Arc::new(store),
            Err(error) if stop.load(Ordering::Relaxed) => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    let manager = |options| LockManager::new(store.clone(), options);
    let (shared, brief) = (manager(options())?, manager(options().renew(false))?);
    let mut running = Vec::new();
    for number in 0..TASKS {
        let own = if number < SHARING { shared.clone() } else { manager(options())? };
        let task = Task {
            store: store.clone() as Arc<dyn KvStore>,
            own: (own, if number < SHARING { 0 } else { number as i64 }),
            brief: brief.clone(),
            dice: dice.fork(),
            next_ask: number,
            step: TASKS,
        };
        running.push(tokio::spawn(task.run(stop.clone())));
    }
    for task in running {
        task.await?;
    }
    Ok(())
}
