//! One process whose tasks want one lock for no time at all, and may pass it on among themselves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use kv_redis::RedisStore;
use redis::aio::ConnectionManager;
use redis::cmd;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::contenders::release;
use super::crowd::{SCRIPTS, SET_AND_SCRIPTS};
use super::way::{LEASE_MS, Ours, Rslock, Way};
use crate::histogram::Histogram;
use crate::scenario::{BoxFuture, Contender, Contenders, Sample};

const TASKS: usize = 32;

pub(super) fn contenders(url: String) -> BoxFuture<'static, Result<Contenders>> {
    Box::pin(async move {
        let connection = ConnectionManager::new(super::client(&url)?).await?;
        let queue = Arc::<Mutex<()>>::default();
        let floor = vec![Floor { connection, queue }; TASKS];
        let store = RedisStore::connect(&url).await?;
        let mutex = Arc::<Mutex<()>>::default();
        Ok(vec![
            Local::boxed("floor: mutex around SET NX, no fence", SET_AND_SCRIPTS, floor),
            Local::boxed("redis-lock", SCRIPTS, Ours::together(&store, TASKS)?),
            Local::boxed("rslock, no fence", SET_AND_SCRIPTS, Rslock::all(&url, TASKS, None)?),
            Local::boxed("tokio Mutex, no redis", SCRIPTS, vec![Memory(mutex); TASKS]),
        ])
    })
}

/// A queue of one's own, and one lock at a time on the server, without fence.
#[derive(Clone)]
struct Floor {
    connection: ConnectionManager,
    queue: Arc<Mutex<()>>,
}

impl Way for Floor {
    type Held = ([u8; 16], OwnedMutexGuard<()>);

    async fn acquire(&mut self) -> Result<Self::Held> {
        let turn = self.queue.clone().lock_owned().await;
        let token: [u8; 16] = rand::random();
        let mut set = cmd("SET");
        set.arg("local").arg(&token).arg("NX").arg("PX").arg(LEASE_MS);
        let acquired: bool = set.query_async(&mut self.connection).await?;
        ensure!(acquired, "the lock is held by another");
        Ok((token, turn))
    }

    fn fence(_: &Self::Held) -> u64 {
        0
    }

    async fn release(&mut self, (token, _turn): Self::Held) -> Result<()> {
        release(&mut self.connection, "local", &token).await
    }
}

/// What no lock that others share can reach.
#[derive(Clone)]
struct Memory(Arc<Mutex<()>>);

impl Way for Memory {
    type Held = OwnedMutexGuard<()>;

    async fn acquire(&mut self) -> Result<Self::Held> {
        Ok(self.0.clone().lock_owned().await)
    }

    fn fence(_: &Self::Held) -> u64 {
        0
    }

    async fn release(&mut self, _: Self::Held) -> Result<()> {
        Ok(())
    }
}

struct Local<W> {
    name: &'static str,
    sent: &'static [&'static str],
    ways: Vec<W>,
}

impl<W: Way> Local<W> {
    fn boxed(name: &'static str, sent: &'static [&'static str], ways: Vec<W>) -> Box<dyn Contender> {
        Box::new(Self { name, sent, ways })
    }
}

impl<W: Way> Contender for Local<W> {
    fn name(&self) -> &'static str {
        self.name
    }

    /// To pass the lock on costs none.
    fn commands(&self) -> &'static [(&'static str, u64)] {
        &[]
    }

    fn sent(&self) -> &'static [&'static str] {
        self.sent
    }

    fn work(&mut self, time: Duration) -> BoxFuture<'_, Result<Sample>> {
        Box::pin(async move {
            let end = Instant::now() + time;
            let running: Vec<_> = self.ways.drain(..).map(|way| tokio::spawn(visit(way, end))).collect();
            let (mut total, mut last, mut counts) = (Sample::default(), Histogram::default(), Vec::new());
            for task in running {
                let (way, waits, late) = task.await??;
                self.ways.push(way);
                counts.push(waits.count() as f64);
                total.latencies.merge(&waits);
                last.merge(&late);
            }
            let (most, least) = counts
                .iter()
                .fold((0.0_f64, f64::INFINITY), |(most, least), &count| (most.max(count), least.min(count)));
            // The speed is that of the acquisitions in time, what one costs that of all.
            total.ops = total.latencies.count() + last.count();
            total.elapsed = time.mul_f64(total.ops as f64 / total.latencies.count() as f64);
            last.merge(&total.latencies);
            total.figures.push(("most / least", most / least));
            total.figures.push(("longest wait ms", last.quantile_us(1.0).unwrap_or_default() / 1e3));
            Ok(total)
        })
    }
}

/// The waits of what was acquired in time, and of what was not.
async fn visit<W: Way>(mut way: W, end: Instant) -> Result<(W, Histogram, Histogram)> {
    let (mut waits, mut late) = (Histogram::default(), Histogram::default());
    let (mut asked, mut last) = (Instant::now(), 0);
    while asked < end {
        let held = way.acquire().await?;
        let got = Instant::now();
        let fence = W::fence(&held);
        ensure!(fence == 0 || fence > last, "fencing token {fence} after {last}");
        last = fence;
        way.release(held).await?;
        if got < end { &mut waits } else { &mut late }.record(got - asked);
        asked = Instant::now();
    }
    Ok((way, waits, late))
}
