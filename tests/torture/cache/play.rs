use super::{KEYS, LEASE, PREFIX, Way, event::Event, history::History, options, report::Report, rows::Rows, tag};
use crate::{
    Subject, WORKERS,
    crew::Crew,
    dice::Dice,
    fault::{Fault, strikes},
    stage::Stage,
    watch::Watch,
    worker::connect,
};
use anyhow::{Context, Result};
use kv_core::KvStore;
use redis_cache::Cache;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use xtask::{fixture::Server, resp::Reply};

/// Lets workers read and write for a while, with one fault after the other, and judges what they tell.
pub(crate) async fn play(subject: Subject, mut dice: Dice, time: Duration) -> Result<Report> {
    let (rows, forgets) = (Server::start()?, subject == Subject::CacheFailover);
    let stage = if forgets { Stage::watched()? } else { Stage::alone()? };
    let watch = Watch::start();
    let history = Arc::<Mutex<History>>::default();
    let ear = {
        let history = history.clone();
        move |life: usize, line: &str| {
            // A killed process may leave half a line.
            let Ok(event) = line.parse::<Event>() else { return };
            history.lock().unwrap_or_else(PoisonError::into_inner).hear(life, event);
        }
    };
    let urls = vec![stage.workers_url(), rows.url()];
    let mut crew = Crew::start(Subject::Cache, urls, WORKERS, Arc::new(ear), &mut dice)?;
    let round = if forgets { Fault::round_with_failover } else { Fault::round_for_caches };
    let faults = strikes(&stage, &mut crew, &mut dice, time, round)?;
    let lives = crew.end()?;
    let mut history = std::mem::take(&mut *history.lock().unwrap_or_else(PoisonError::into_inner));
    (history.faults, history.lives, history.forgets, history.stall) = (faults, lives, forgets, watch.worst());
    let mut breaches = aftermath(&stage, &rows, &history).await?;
    breaches.append(&mut crew.breaches);
    breaches.extend(history.breaches());
    Ok(Report { history, breaches })
}

/// Every key can be loaded in time, has an end, and nobody has a right to load any more.
async fn aftermath(stage: &Stage, rows: &Server, history: &History) -> Result<Vec<String>> {
    let mut breaches = Vec::new();
    let store = Arc::new(connect(&stage.url()).await?) as Arc<dyn KvStore>;
    let (cache, rows) = (Cache::<u64>::new(store, options())?, Rows::open(&rows.url()).await?);
    for key in 0..KEYS {
        let rows = rows.clone();
        let (name, began) = (key.to_string(), Instant::now());
        let load = || async move { rows.read(key).await.map(Some) };
        let value = match Way::of(key) {
            Way::Tag => cache.tagged(&[&tag(key)])?.get_or_load(&name, load).await,
            Way::Invalidate | Way::Update => cache.get_or_load(&name, load).await,
        };
        let value = *value.with_context(|| format!("key {key}"))?.with_context(|| format!("key {key}"))?;
        let told = history.told.iter().filter(|told| told.key == key).map(|told| told.value).max();
        if !history.forgets && Some(value) < told {
            breaches.push(format!("key {key}: {value} is left of {told:?}"));
        }
        if began.elapsed() > LEASE + Duration::from_secs(1) {
            breaches.push(format!("key {key} takes {} ms to load after all", began.elapsed().as_millis()));
        }
    }
    let begun = Instant::now();
    loop {
        let Reply::Array(keys) = stage.call(&["KEYS", &format!("{PREFIX}:*")])? else { return Ok(breaches) };
        let mut loading = Vec::new();
        for key in keys.iter().filter_map(Reply::text) {
            // What is gone since has none either, and says so otherwise.
            if matches!(stage.call(&["PTTL", key])?, Reply::Integer(-1)) {
                breaches.push(format!("{key} has no end"));
            }
            loading.extend(key.ends_with(":load").then_some(key));
        }
        if loading.is_empty() {
            return Ok(breaches);
        }
        if begun.elapsed() > LEASE + Duration::from_secs(1) {
            breaches.push(format!("left behind: {}", loading.join(", ")));
            return Ok(breaches);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
