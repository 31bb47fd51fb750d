use crate::{
    crew::Crew,
    dice::Dice,
    event::{Micros, now},
    fault::Fault,
    history::History,
    report::Report,
    task::NAMES,
    worker::{CLAIM, LEASE, PREFIX, connect, options},
};
use anyhow::{Context, Result};
use kv_core::KvStore;
use redis_lock::LockManager;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use xtask::{
    fixture::{Proxy, Server},
    resp::Reply,
};

const WORKERS: usize = 4;
/// How long after a fault its consequences may last: a place in line that is lost, and a lease that runs out.
const ECHO: Micros = 1_500_000;
/// What is acknowledged is on disk.
const ARGS: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

/// Lets workers lock for a while, with one fault after the other, and judges what they tell.
pub(crate) async fn play(seed: u64, time: Duration) -> Result<Report> {
    let mut dice = Dice::new(seed);
    let server = Server::with_args(&ARGS)?;
    let watch = Watch::start();
    let network = Proxy::to(server.port())?;
    let mut crew = Crew::start(network.url(), WORKERS, &mut dice)?;
    let (begun, mut faults) = (Instant::now(), Vec::new());
    let mut plan = Vec::new();
    loop {
        // Now and then it is calm for long enough to see who is served when.
        let pause = if dice.one_in(10) { dice.millis(2500..5000) } else { dice.millis(30..600) };
        thread::sleep(pause.min(time.saturating_sub(begun.elapsed())));
        if begun.elapsed() >= time {
            break;
        }
        let fault = plan.pop().unwrap_or_else(|| {
            plan = Fault::round(&mut dice);
            Fault::Kill
        });
        let since = now();
        let at = begun.elapsed();
        fault.strike(&server, &network, &mut crew, &mut dice).with_context(|| fault.to_string())?;
        println!("  {:6.2} s  {fault}", at.as_secs_f64());
        faults.push((since, now() + ECHO));
    }
    let (lives, asks) = crew.end()?;
    let mut breaches = aftermath(&server).await?;
    let registers = registers(&server)?;
    let history = History { asks, lives, faults, stall: watch.worst(), registers };
    breaches.append(&mut crew.breaches);
    breaches.extend(history.breaches());
    Ok(Report { history, breaches })
}

/// Every lock can be had in time, and nothing is left of any but its counter.
async fn aftermath(server: &Server) -> Result<Vec<String>> {
    let mut breaches = Vec::new();
    let store = Arc::new(connect(&server.url()).await?);
    let locks = LockManager::new(store as Arc<dyn KvStore>, options())?;
    for name in 0..NAMES {
        match locks.acquire(&name.to_string(), LEASE + CLAIM + Duration::from_secs(1)).await {
            Ok(guard) => drop(guard.release().await?),
            Err(error) => breaches.push(format!("name {name} cannot be had after all: {error}")),
        }
    }
    let begun = Instant::now();
    loop {
        let Reply::Array(keys) = server.call(&["KEYS", &format!("{PREFIX}:*")])? else { return Ok(breaches) };
        let left: Vec<&str> = keys.iter().filter_map(Reply::text).filter(|key| !key.ends_with(":fence")).collect();
        if left.is_empty() {
            return Ok(breaches);
        }
        if begun.elapsed() > LEASE + Duration::from_secs(1) {
            breaches.push(format!("left behind: {}", left.join(", ")));
            return Ok(breaches);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn registers(server: &Server) -> Result<Vec<i64>> {
    let value = |name| {
        let reply = server.call(&["HGET", &format!("register:{name}"), "value"])?;
        Ok(reply.text().map_or(Ok(0), str::parse)?)
    };
    (0..NAMES).map(value).collect()
}

/// Sleeps, to see how long a process has to wait that has something to do.
struct Watch {
    worst: Arc<AtomicI64>,
    done: Arc<AtomicBool>,
}

impl Watch {
    fn start() -> Self {
        let (worst, done) = (Arc::<AtomicI64>::default(), Arc::<AtomicBool>::default());
        thread::spawn({
            let (worst, done) = (worst.clone(), done.clone());
            move || {
                while !done.load(Ordering::Relaxed) {
                    let before = now();
                    thread::sleep(Duration::from_millis(5));
                    worst.fetch_max(now() - before - 5_000, Ordering::Relaxed);
                }
            }
        });
        Self { worst, done }
    }

    fn worst(&self) -> Micros {
        self.done.store(true, Ordering::Relaxed);
        self.worst.load(Ordering::Relaxed)
    }
}
