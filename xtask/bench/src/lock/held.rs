//! Locks that are held, and renewed.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use anyhow::{Result, ensure};
use kv_redis::RedisStore;
use redis::aio::ConnectionManager;
use redis::{Script, pipe};
use redis_lock::{LockGuard, LockManager, LockOptions, Release};
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval_at, sleep};

use super::crowd::SCRIPTS;
use crate::scenario::{BoxFuture, Contender, Contenders, Sample};

const LOCKS: usize = 1_000;
const LEASE_MS: u64 = 3_000;
const LEASE: Duration = Duration::from_millis(LEASE_MS);

static EXTEND: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r#"if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("PEXPIRE", KEYS[1], ARGV[2]) end return 0"#,
    )
});

pub(super) fn contenders(url: String) -> BoxFuture<'static, Result<Contenders>> {
    Box::pin(async move {
        let connection = ConnectionManager::new(super::client(&url)?).await?;
        let store = RedisStore::connect(&url).await?;
        let locks = LockManager::new(Arc::new(store), LockOptions::default().lease(LEASE))?;
        let ours: Box<dyn Contender> = Box::new(Ours { locks, guards: Vec::new() });
        Ok(vec![Box::new(Floor { connection, renewing: None }), ours])
    })
}

/// An operation is a second.
async fn seconds(time: Duration) -> Sample {
    let ops = (time.as_secs_f64().ceil() as u64).max(1);
    let elapsed = Duration::from_secs(ops);
    sleep(elapsed).await;
    Sample { ops, elapsed, ..Sample::default() }
}

/// One pipeline for all, every third of the lease.
struct Floor {
    connection: ConnectionManager,
    renewing: Option<JoinHandle<Result<()>>>,
}

impl Contender for Floor {
    fn name(&self) -> &'static str {
        "floor: one pipeline"
    }

    fn commands(&self) -> &'static [(&'static str, u64)] {
        &[]
    }

    fn sent(&self) -> &'static [&'static str] {
        SCRIPTS
    }

    fn enter(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            let mut acquire = pipe();
            for lock in 0..LOCKS {
                acquire.cmd("SET").arg(key(lock)).arg(token(lock)).arg("NX").arg("PX").arg(LEASE_MS);
            }
            acquire.exec_async(&mut self.connection).await?;
            EXTEND.prepare_invoke().load_async(&mut self.connection).await?;
            self.renewing = Some(tokio::spawn(renew(self.connection.clone())));
            Ok(())
        })
    }

    fn leave(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            if let Some(renewing) = self.renewing.take() {
                ensure!(!renewing.is_finished(), "renewing has ended: {:?}", renewing.await?);
                renewing.abort();
            }
            let mut delete = redis::cmd("DEL");
            delete.arg((0..LOCKS).map(key).collect::<Vec<_>>());
            let held: usize = delete.query_async(&mut self.connection).await?;
            ensure!(held == LOCKS, "{held} locks are left");
            Ok(())
        })
    }

    fn work(&mut self, time: Duration) -> BoxFuture<'_, Result<Sample>> {
        Box::pin(async move { Ok(seconds(time).await) })
    }
}

async fn renew(mut connection: ConnectionManager) -> Result<()> {
    let mut extend = pipe();
    for lock in 0..LOCKS {
        extend.cmd("EVALSHA").arg(EXTEND.get_hash()).arg(1).arg(key(lock)).arg(token(lock)).arg(LEASE_MS);
    }
    // Halfway between the seconds: a turn has as many ticks as it has seconds.
    let mut due = interval_at(Instant::now() + LEASE / 6, LEASE / 3);
    loop {
        due.tick().await;
        let extended: Vec<usize> = extend.query_async(&mut connection).await?;
        ensure!(extended.iter().sum::<usize>() == LOCKS, "a lock is lost");
    }
}

fn key(lock: usize) -> String {
    format!("held:{{{lock}}}")
}

/// As long as one of redis-lock.
fn token(lock: usize) -> String {
    format!("{lock:032x}/")
}

/// One manager for all.
struct Ours {
    locks: LockManager,
    guards: Vec<LockGuard>,
}

impl Contender for Ours {
    fn name(&self) -> &'static str {
        "redis-lock"
    }

    fn commands(&self) -> &'static [(&'static str, u64)] {
        &[]
    }

    fn sent(&self) -> &'static [&'static str] {
        SCRIPTS
    }

    fn enter(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            for lock in 0..LOCKS {
                self.guards.push(self.locks.acquire(&lock.to_string(), LEASE).await?);
            }
            Ok(())
        })
    }

    fn leave(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            for guard in self.guards.drain(..) {
                let released = guard.release().await?;
                ensure!(released == Release::Released, "release finds {released:?}");
            }
            Ok(())
        })
    }

    fn work(&mut self, time: Duration) -> BoxFuture<'_, Result<Sample>> {
        Box::pin(async move { Ok(seconds(time).await) })
    }
}
