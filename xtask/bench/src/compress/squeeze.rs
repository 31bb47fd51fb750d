use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::scenario::{BoxFuture, Contender, Sample};

/// What is done to a value; says how many bytes came of it.
type Work = Box<dyn FnMut(&[u8]) -> Result<usize> + Send>;

/// A contender that works on values one after the other, and waits for nothing.
pub(super) struct Squeezing {
    name: &'static str,
    values: Arc<[Vec<u8>]>,
    work: Arc<Mutex<Work>>,
}

impl Squeezing {
    pub(super) fn of(
        name: &'static str,
        values: &Arc<[Vec<u8>]>,
        work: impl FnMut(&[u8]) -> Result<usize> + Send + 'static,
    ) -> Box<dyn Contender> {
        Box::new(Self { name, values: values.clone(), work: Arc::new(Mutex::new(Box::new(work))) })
    }
}

impl Contender for Squeezing {
    fn name(&self) -> &'static str {
        self.name
    }

    fn commands(&self) -> &'static [(&'static str, u64)] {
        &[]
    }

    fn work(&mut self, time: Duration) -> BoxFuture<'_, Result<Sample>> {
        Box::pin(async move {
            let (work, values) = (self.work.clone(), self.values.clone());
            let running = tokio::spawn(async move {
                let mut work = work.lock().ok().context("it panicked before")?;
                let (mut ops, mut taken, mut left, started) = (0u64, 0, 0, Instant::now());
                // All values between two looks at the clock.
                while started.elapsed() < time {
                    for value in values.iter() {
                        left += black_box((*work)(black_box(value))?);
                        taken += value.len();
                    }
                    ops += values.len() as u64;
                }
                let elapsed = started.elapsed();
                let nanos = elapsed.as_nanos() as f64;
                let figures = vec![("ns", nanos / ops as f64), ("MB/s", taken.max(left) as f64 * 1000.0 / nanos)];
                Ok(Sample { ops, elapsed, figures, ..Sample::default() })
            });
            running.await?
        })
    }
}
