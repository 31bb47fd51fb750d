use super::{
    CLAIM, PREFIX,
    ask::Ask,
    event::Event,
    history::{Asks, History},
    options,
    report::Report,
    task::NAMES,
};
use crate::{
    LEASE, Subject, WORKERS,
    crew::Crew,
    dice::Dice,
    fault::{Fault, strikes},
    moment::Micros,
    stage::Stage,
    watch::Watch,
    worker::connect,
};
use anyhow::Result;
use kv_core::KvStore;
use redis_lock::LockManager;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use xtask::resp::Reply;

/// How long after a fault its consequences may last: a place in line that is lost, and a lease that runs out.
const ECHO: Micros = 1_500_000;

/// Lets workers lock for a while, with one fault after the other, and judges what they tell.
pub(crate) async fn play(mut dice: Dice, time: Duration) -> Result<Report> {
    let stage = Stage::alone()?;
    let watch = Watch::start();
    let asks = Arc::<Mutex<Asks>>::default();
    let ear = {
        let asks = asks.clone();
        move |life: usize, line: &str| {
            // A killed process may leave half a line.
            let Ok(event) = line.parse::<Event>() else { return };
            let mut asks = asks.lock().unwrap_or_else(PoisonError::into_inner);
            asks.entry((life, event.ask)).or_insert_with(|| Ask { worker: life, ..Ask::default() }).hear(event);
        }
    };
    let mut crew = Crew::start(Subject::Lock, vec![stage.workers_url()], WORKERS, Arc::new(ear), &mut dice)?;
    let faults = strikes(&stage, &mut crew, &mut dice, time, Fault::round)?;
    let faults = faults.iter().map(|struck| (struck.since, struck.until + ECHO)).collect();
    let lives = crew.end()?;
    let asks = std::mem::take(&mut *asks.lock().unwrap_or_else(PoisonError::into_inner));
    let mut breaches = aftermath(&stage).await?;
    let registers = registers(&stage)?;
    let history = History { asks, lives, faults, stall: watch.worst(), registers };
    breaches.append(&mut crew.breaches);
    breaches.extend(history.breaches());
    Ok(Report { history, breaches })
}

/// Every lock can be had in time, and nothing is left of any but its counter.
async fn aftermath(stage: &Stage) -> Result<Vec<String>> {
    let mut breaches = Vec::new();
    let store = Arc::new(connect(&stage.url()).await?);
    let locks = LockManager::new(store as Arc<dyn KvStore>, options())?;
    for name in 0..NAMES {
        match locks.acquire(&name.to_string(), LEASE + CLAIM + Duration::from_secs(1)).await {
            Ok(guard) => drop(guard.release().await?),
            Err(error) => breaches.push(format!("name {name} cannot be had after all: {error}")),
        }
    }
    let begun = Instant::now();
    loop {
        let Reply::Array(keys) = stage.call(&["KEYS", &format!("{PREFIX}:*")])? else { return Ok(breaches) };
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

fn registers(stage: &Stage) -> Result<Vec<i64>> {
    let value = |name| {
        let reply = stage.call(&["HGET", &format!("register:{name}"), "value"])?;
        Ok(reply.text().map_or(Ok(0), str::parse)?)
    };
    (0..NAMES).map(value).collect()
}
