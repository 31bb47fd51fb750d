//! Tasks that want one lock, for a millisecond each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use kv_redis::RedisStore;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::queue::Queue;
use super::section::{Clock, Section};
use super::way::{Ours, Rslock, Way};
use crate::scenario::BoxFuture;

/// How long a section is.
const HOLD: Duration = Duration::from_millis(1);
/// Between two sections of a task. Without it the one that releases is the first to ask again, which hides who is unfair.
const THINK_MS: std::ops::Range<f64> = 2.5..7.5;

/// All tasks of one process.
pub(super) trait Crowd: Send {
    fn work(&mut self, time: Duration) -> BoxFuture<'_, Result<Vec<Section>>>;
}

/// Those who are compared. The first is the floor.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) sent: &'static [&'static str],
    gather: Gather,
}

type Gather = fn(url: String, tasks: usize, apart: bool) -> BoxFuture<'static, Result<Box<dyn Crowd>>>;

/// All else runs inside of scripts.
pub(super) const SCRIPTS: &[&str] =
    &["eval", "evalsha", "script|load", "hello", "ping", "subscribe", "unsubscribe", "ssubscribe", "psubscribe"];
pub(super) const SET_AND_SCRIPTS: &[&str] = &["set", "eval", "evalsha", "script|load", "hello", "ping"];

pub(super) const KINDS: [Kind; 4] = [
    Kind {
        name: "floor: line and push",
        sent: SCRIPTS,
        gather: |url, tasks, _| Box::pin(async move { Ok(boxed(Queue::all(&url, tasks).await?)) }),
    },
    Kind {
        name: "redis-lock",
        sent: SCRIPTS,
        gather: |url, tasks, apart| {
            Box::pin(async move {
                let store = RedisStore::connect(&url).await?;
                Ok(boxed(if apart { Ours::apart(&store, tasks)? } else { Ours::together(&store, tasks)? }))
            })
        },
    },
    Kind {
        name: "rslock, no fence",
        sent: SET_AND_SCRIPTS,
        gather: |url, tasks, _| Box::pin(async move { Ok(boxed(Rslock::all(&url, tasks, None)?)) }),
    },
    Kind {
        name: "rslock < 10 ms, no fence",
        sent: SET_AND_SCRIPTS,
        gather: |url, tasks, _| {
            Box::pin(async move { Ok(boxed(Rslock::all(&url, tasks, Some(Duration::from_millis(10)))?)) })
        },
    },
];

impl Kind {
    /// Connects its tasks; `apart` if they are to share nothing that could pass the lock on.
    pub(super) async fn gather(self, url: &str, tasks: usize, apart: bool) -> Result<Box<dyn Crowd>> {
        (self.gather)(url.to_owned(), tasks, apart).await
    }
}

fn boxed<W: Way>(ways: Vec<W>) -> Box<dyn Crowd> {
    Box::new(Tasks(ways))
}

struct Tasks<W>(Vec<W>);

impl<W: Way> Crowd for Tasks<W> {
    fn work(&mut self, time: Duration) -> BoxFuture<'_, Result<Vec<Section>>> {
        Box::pin(async move {
            let (clock, inside) = (Clock::new()?, Arc::<AtomicBool>::default());
            let end = Instant::now() + time;
            let ways = self.0.drain(..).enumerate();
            let running: Vec<_> =
                ways.map(|(task, way)| tokio::spawn(visit(way, task as u64, clock, end, inside.clone()))).collect();
            let mut sections = Vec::new();
            for task in running {
                let (way, visited) = task.await??;
                self.0.push(way);
                sections.extend(visited);
            }
            Ok(sections)
        })
    }
}

async fn visit<W: Way>(
    mut way: W,
    task: u64,
    clock: Clock,
    end: Instant,
    inside: Arc<AtomicBool>,
) -> Result<(W, Vec<Section>)> {
    let mut sections = Vec::new();
    while Instant::now() < end {
        let asked = clock.now();
        let held = way.acquire().await?;
        let got = clock.now();
        ensure!(!inside.swap(true, Ordering::SeqCst), "two hold the lock");
        hold().await?;
        inside.store(false, Ordering::SeqCst);
        let (fence, left) = (W::fence(&held), clock.now());
        way.release(held).await?;
        sections.push(Section { task, asked, got, left, fence });
        sleep(Duration::from_secs_f64(rand::random_range(THINK_MS) / 1e3)).await;
    }
    Ok((way, sections))
}

/// tokio's timer has steps of a millisecond, and spinning would keep the others from lining up: a thread sleeps.
async fn hold() -> Result<()> {
    let end = Instant::now() + HOLD;
    Ok(spawn_blocking(move || thread::sleep(end.saturating_duration_since(Instant::now()))).await?)
}
