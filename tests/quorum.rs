//! The lock of a quorum: on servers in memory that fail as told, in virtual time, and on real ones.

mod dropped;
mod lease;
mod servers;
mod votes;

use crate::backend::eventually;
use kv_core::{Around, Call, Error, ErrorKind, Executed, KvStore, Layered, MemoryStore, Result, SetOptions, Ttl};
use redis_lock::{QuorumGuard, QuorumManager, QuorumOptions};
use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::watch,
    task::yield_now,
    time::{Instant, sleep},
};

const NO_WAIT: Duration = Duration::ZERO;
const KEY: &str = "redlock:job";
/// Beyond any test's patience: what becomes free is released, and does not expire.
const LEASE: Duration = Duration::from_secs(60);

/// How a server fails.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Mode {
    #[default]
    Up,
    Down,
    /// It answers after this time.
    Slow(Duration),
    /// It does what it is asked, and never answers.
    Mute,
    /// It neither does what it is asked, nor says so.
    Stuck,
    /// It stops at both sides of each call.
    Stepping,
}

#[derive(Clone, Debug)]
struct Gate {
    mode: Arc<watch::Sender<Mode>>,
    calls: Arc<AtomicU64>,
}

impl Around for Gate {
    async fn around<T: Send>(&self, mut call: Call<'_, T>) -> Result<T> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let mode = *self.mode.borrow();
        match mode {
            Mode::Up => call.run().await,
            Mode::Down => Err(Error::new(ErrorKind::Unavailable, "test").with_executed(Executed::No)),
            Mode::Slow(time) => {
                let reply = call.run().await;
                sleep(time).await;
                reply
            }
            Mode::Mute => {
                drop(call.run().await);
                pending().await
            }
            Mode::Stuck => pending().await,
            Mode::Stepping => {
                yield_now().await;
                let reply = call.run().await;
                yield_now().await;
                reply
            }
        }
    }
}

type Node = Layered<MemoryStore, Gate>;

/// Servers in memory.
struct Nodes(Vec<Node>);

impl Nodes {
    fn new(modes: &[Mode]) -> Self {
        let gate = |mode| Gate { mode: Arc::new(watch::Sender::new(mode)), calls: Arc::default() };
        let node = |&mode| Layered::new(MemoryStore::new(), gate(mode));
        Self(modes.iter().map(node).collect())
    }

    fn three() -> Self {
        Self::new(&[Mode::Up; 3])
    }

    fn turn(&self, at: usize, mode: Mode) {
        self.0[at].layer().mode.send_replace(mode);
    }

    /// How often a server was asked for something.
    fn calls(&self, at: usize) -> u64 {
        self.0[at].layer().calls.load(Ordering::Relaxed)
    }

    fn locks(&self, options: QuorumOptions) -> QuorumManager {
        let stores = self.0.iter().map(|node| Arc::new(node.clone()) as Arc<dyn KvStore>).collect();
        QuorumManager::new(stores, options).unwrap()
    }

    /// A guard that nothing extends but the test.
    async fn held(&self) -> QuorumGuard {
        self.locks(options()).acquire("job", NO_WAIT).await.unwrap()
    }

    async fn put(&self, at: usize, value: &str) {
        self.0[at].inner().set(KEY, value.as_bytes(), SetOptions::default()).await.unwrap();
    }

    async fn clear(&self, at: usize) {
        self.0[at].inner().delete(&[KEY]).await.unwrap();
    }

    /// Who holds the key, server by server.
    async fn holders(&self) -> Vec<Option<bytes::Bytes>> {
        let mut holders = Vec::new();
        for node in &self.0 {
            holders.push(node.inner().get(KEY).await.unwrap());
        }
        holders
    }

    async fn taken(&self) -> usize {
        self.holders().await.iter().flatten().count()
    }

    async fn ttl(&self, at: usize) -> Ttl {
        self.0[at].inner().ttl(KEY).await.unwrap()
    }

    async fn become_free(&self) {
        eventually("all servers are free", || async { self.taken().await == 0 }).await;
    }
}

fn options() -> QuorumOptions {
    QuorumOptions::default().lease(LEASE).renew(false)
}

/// What the future takes in virtual time.
async fn timed<T>(future: impl Future<Output = T>) -> (Duration, T) {
    let started = Instant::now();
    let done = future.await;
    (started.elapsed(), done)
}
