use crate::{DEADLINE, LEASE, Subject, cache, dice::Dice, lock};
use anyhow::{Context, Result};
use kv_redis::{RedisOptions, RedisStore};
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
/// The longest a worker may take to end.
pub(crate) const LONGEST: Duration = Duration::from_secs(15);

pub(crate) async fn connect(url: &str) -> Result<RedisStore> {
    let options = RedisOptions::default().deadline(DEADLINE).connect_timeout(DEADLINE).heartbeat(LEASE);
    Ok(RedisStore::connect_with(url, options).await?)
}

/// Works until its input ends.
pub(crate) fn work(mut args: impl Iterator<Item = String>) -> Result<()> {
    let subject = args.next().as_deref().and_then(Subject::of).context("no subject")?;
    let seed = args.next().context("no seed")?.parse()?;
    let url = args.next().context("no url")?;
    let rows = args.next();
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
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (store, dice) = (Arc::new(come(&url, &stop).await?), Dice::new(seed));
        match subject {
            Subject::Lock => lock::work(store, dice, stop).await,
            Subject::Cache | Subject::CacheFailover => cache::work(store, &rows.context("no rows")?, dice, stop).await,
        }
    })
}

/// Started while the server was away, a process comes when that does.
async fn come(url: &str, stop: &AtomicBool) -> Result<RedisStore> {
    loop {
        match connect(url).await {
            Err(_) if !stop.load(Ordering::Relaxed) => tokio::time::sleep(Duration::from_millis(20)).await,
            done => return done,
        }
    }
}
