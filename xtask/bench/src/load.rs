//! A closed loop: every task starts its next operation when the last one is done.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::scenario::{BoxFuture, Contender, Sample};

/// One operation, over and over, with what it needs at hand.
pub(crate) trait Operation: Send + 'static {
    /// An error ends the benchmark: an operation that fails is not one that was fast.
    fn run(&mut self) -> impl Future<Output = Result<()>> + Send;
}

/// A contender that runs one [`Operation`] per task.
pub(crate) struct ClosedLoop<O> {
    name: &'static str,
    commands: &'static [(&'static str, u64)],
    tasks: Vec<O>,
}

impl<O: Operation> ClosedLoop<O> {
    pub(crate) fn boxed(
        name: &'static str,
        commands: &'static [(&'static str, u64)],
        tasks: Vec<O>,
    ) -> Box<dyn Contender> {
        Box::new(Self { name, commands, tasks })
    }
}

impl<O: Operation> Contender for ClosedLoop<O> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn commands(&self) -> &'static [(&'static str, u64)] {
        self.commands
    }

    fn work(&mut self, time: Duration) -> BoxFuture<'_, Result<Sample>> {
        Box::pin(async move {
            let started = Instant::now();
            let spawn = |operation| tokio::spawn(repeat(operation, started + time));
            let running: Vec<_> = self.tasks.drain(..).map(spawn).collect();
            let mut total = Sample::default();
            for task in running {
                let (operation, sample) = task.await??;
                self.tasks.push(operation);
                total.ops += sample.ops;
                total.latencies.merge(&sample.latencies);
            }
            total.elapsed = started.elapsed();
            Ok(total)
        })
    }
}

async fn repeat<O: Operation>(mut operation: O, end: Instant) -> Result<(O, Sample)> {
    let mut sample = Sample::default();
    let mut before = Instant::now();
    while before < end {
        operation.run().await?;
        let after = Instant::now();
        sample.latencies.record(after - before);
        sample.ops += 1;
        before = after;
    }
    Ok((operation, sample))
}
