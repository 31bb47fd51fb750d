use crate::{
    call::{Run, lock},
    dice::Dice,
    fault::Fault,
    leak::Left,
    load::{Load, worst},
    punctual::Control,
    recovery::Recoveries,
    report::Report,
    stage::Stage,
    strike::{blocking, mend, strike},
    topology::Topology,
};
use anyhow::{Context, Result};
use kv_redis::RedisStore;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{runtime::Handle, time::sleep};

/// Writes acknowledged so long before a master dies may be lost with it.
pub(crate) const REPLICATION: Duration = Duration::from_secs(1);
/// How long after a fault an error may be one of its consequences.
const ECHO: Duration = Duration::from_millis(500);

/// Plays one topology for a while: load, and faults one after the other.
pub(crate) async fn play(topology: Topology, seed: u64, time: Duration) -> Result<Report> {
    let mut dice = Dice::new(seed);
    let stage = tokio::task::spawn_blocking(move || Stage::start(topology)).await??;
    let stage = Arc::new(stage);
    let probes = blocking(&stage, Stage::probes).await?;
    let tasks_before = Handle::current().metrics().num_alive_tasks();
    let store = RedisStore::connect_with(&stage.url(), stage.options(topology)).await?;
    let (run, control) = (Arc::new(Run::new()), Arc::new(Control::default()));
    let watch = tokio::spawn({
        let control = control.clone();
        async move { control.watch().await }
    });
    let load = Load::start(&store, &run, topology, dice.fork()).await?;
    let (mut recoveries, mut breaches) = (Recoveries::default(), Vec::new());
    let mut faults = 0;
    for fault in Fault::plan(topology, dice.fork()) {
        sleep(dice.millis(100..400)).await;
        if run.clock.0.elapsed() > time {
            break;
        }
        let at = run.clock.0.elapsed();
        run.faults.open(run.clock.now(), Duration::ZERO);
        if fault.may_lose(topology) {
            run.losses.open(run.clock.now(), REPLICATION);
        }
        let struck = strike(&stage, &store, fault, dice.fork()).await.with_context(|| fault.to_string())?;
        breaches.extend(struck.breach.clone());
        let (since, limit) = (struck.since, fault.limit(topology));
        let took = Recoveries::measure(&store, &probes, since, limit).await;
        println!("  {:6.2} s  {fault}: works after {} ms", at.as_secs_f64(), took.as_millis());
        recoveries.add(&fault.to_string(), since, took, limit, &control);
        mend(&stage, fault, struck).await.with_context(|| fault.to_string())?;
        run.losses.close(run.clock.now());
        run.faults.close(run.clock.at(Instant::now() + ECHO));
        faults += 1;
    }
    let books = load.finish().await?;
    let connected = store.stats().connected;
    drop(store);
    watch.abort();
    let left = Left::behind(&stage, tasks_before).await?;
    breaches.extend(books.breaches);
    breaches.extend(run.errors_in_calm(control.worst()));
    breaches.extend(control.breaches(&lock(&run.late)));
    breaches.extend_from_slice(recoveries.breaches());
    breaches.extend(left.breaches());
    Ok(Report {
        topology,
        breaches,
        faults,
        connected,
        gaps: books.gaps,
        checked: books.checked,
        elements: (books.queues.lost, books.queues.may_be_lost),
        over: worst(&run),
        sleep: control.worst(),
        recoveries: recoveries.summary(),
        run,
    })
}
