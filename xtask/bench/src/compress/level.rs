use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kv_core::Transform;
use redis_compress::Compressor;

use crate::scenario::{BoxFuture, Contender, Sample};

/// An algorithm and a level: all values there and back, each way with a time of its own.
pub(super) struct Level {
    name: &'static str,
    values: Arc<[Vec<u8>]>,
    compressor: Compressor,
}

impl Level {
    pub(super) fn of(name: &'static str, values: &Arc<[Vec<u8>]>, compressor: Compressor) -> Box<dyn Contender> {
        Box::new(Self { name, values: values.clone(), compressor })
    }
}

impl Contender for Level {
    fn name(&self) -> &'static str {
        self.name
    }

    fn commands(&self) -> &'static [(&'static str, u64)] {
        &[]
    }

    fn work(&mut self, time: Duration) -> BoxFuture<'_, Result<Sample>> {
        Box::pin(async move {
            let (compressor, values) = (self.compressor.clone(), self.values.clone());
            let running = tokio::spawn(async move {
                let (mut written, mut read, mut rounds) = (Duration::ZERO, Duration::ZERO, 0u64);
                let (bytes, mut stored) = (values.iter().map(Vec::len).sum::<usize>() as f64, 0);
                while written + read < time {
                    let began = Instant::now();
                    let frames: Vec<_> =
                        values.iter().map(|value| compressor.apply(value)).collect::<Result<_, _>>()?;
                    written += began.elapsed();
                    let frames: Vec<_> = frames.into_iter().collect::<Option<_>>().context("it does not shrink")?;
                    stored = frames.iter().map(Vec::len).sum();
                    let began = Instant::now();
                    for (frame, value) in frames.iter().zip(values.iter()) {
                        ensure!(black_box(compressor.revert(frame)?).len() == value.len(), "not what it was");
                    }
                    read += began.elapsed();
                    rounds += 1;
                }
                let speed = |time: Duration| bytes * rounds as f64 / time.as_secs_f64() / 1e6;
                let figures = vec![
                    ("times smaller", bytes / stored as f64),
                    ("write MB/s", speed(written)),
                    ("read MB/s", speed(read)),
                ];
                let ops = rounds * values.len() as u64;
                Ok(Sample { ops, elapsed: written + read, figures, ..Sample::default() })
            });
            running.await?
        })
    }
}
