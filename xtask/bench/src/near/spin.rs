use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::Asked;
use crate::scenario::{BoxFuture, Contender, Sample};

/// How many are run between two looks at the clock: they are too short for one around each.
const AT_ONCE: u64 = 1000;

/// What the tasks do with a map.
#[derive(Clone, Copy)]
enum Work {
    /// Reads, and whether they find.
    Read(bool),
    Write,
}

/// A contender whose tasks never wait.
pub(super) struct Spinning<A> {
    name: &'static str,
    map: A,
    names: Arc<[String]>,
    tasks: usize,
    work: Work,
}

impl<A: Asked> Spinning<A> {
    pub(super) fn reads(
        name: &'static str,
        map: &A,
        names: &Arc<[String]>,
        tasks: usize,
        finds: bool,
    ) -> Box<dyn Contender> {
        Box::new(Self { name, map: map.clone(), names: names.clone(), tasks, work: Work::Read(finds) })
    }

    pub(super) fn writes(name: &'static str, map: &A, names: &Arc<[String]>, tasks: usize) -> Box<dyn Contender> {
        Box::new(Self { name, map: map.clone(), names: names.clone(), tasks, work: Work::Write })
    }
}

impl<A: Asked> Contender for Spinning<A> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn commands(&self) -> &'static [(&'static str, u64)] {
        &[]
    }

    fn work(&mut self, time: Duration) -> BoxFuture<'_, Result<Sample>> {
        Box::pin(async move {
            let started = Instant::now();
            let spawn = |task| tokio::spawn(spin(self.map.clone(), self.names.clone(), self.work, task, time));
            let running: Vec<_> = (0..self.tasks as u64).map(spawn).collect();
            let mut sample = Sample::default();
            for task in running {
                sample.ops += task.await??;
            }
            sample.elapsed = started.elapsed();
            let nanos = sample.elapsed.as_nanos() as f64 * self.tasks as f64 / sample.ops as f64;
            sample.figures.push(("ns", nanos));
            Ok(sample)
        })
    }
}

async fn spin<A: Asked>(map: A, names: Arc<[String]>, work: Work, task: u64, time: Duration) -> Result<u64> {
    let (mut ops, started) = (0, Instant::now());
    // Any order but that in which they lie in memory.
    let mut dice = 0x9e37_79b9_7f4a_7c15 ^ task;
    while started.elapsed() < time {
        for _ in 0..AT_ONCE {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            let name = &names[dice as usize % names.len()];
            match work {
                Work::Read(finds) => ensure!(map.find(name).await? == finds, "what is there is not known"),
                Work::Write => map.put(name).await?,
            }
        }
        ops += AT_ONCE;
    }
    Ok(ops)
}
