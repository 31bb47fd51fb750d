//! One acquire and one release, five ways. All hold a random token of 128 bits or more for 10 s.

use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Result, ensure};
use redis::aio::ConnectionManager;
use redis::{Script, cmd};
use redis_lock::{LockManager, Release};

use crate::load::Operation;

const LEASE: Duration = Duration::from_secs(10);
const LEASE_MS: u64 = LEASE.as_millis() as u64;

static ACQUIRE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r#"if redis.call("SET", KEYS[1], ARGV[1], "NX", "PX", ARGV[2]) then return redis.call("INCR", KEYS[2]) end
return 0"#,
    )
});

static RELEASE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(r#"if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("DEL", KEYS[1]) end return 0"#)
});

/// The last fencing token of one lock, which nobody else takes.
#[derive(Default)]
struct Fence(u64);

impl Fence {
    /// A counter by itself leaves no gaps.
    fn counts(&mut self, token: u64) -> Result<()> {
        let last = std::mem::replace(&mut self.0, token);
        ensure!(token == last + 1, "fencing token {token} after {last}");
        Ok(())
    }

    /// The least that a fencing token has to do.
    fn grows(&mut self, token: u64) -> Result<()> {
        let last = std::mem::replace(&mut self.0, token);
        ensure!(token > last, "fencing token {token} after {last}");
        Ok(())
    }
}

/// The least code over redis-rs that gives what redis-lock gives.
pub(super) struct Fenced {
    connection: ConnectionManager,
    key: String,
    counter: String,
    fence: Fence,
}

impl Fenced {
    pub(super) fn new(connection: ConnectionManager, prefix: &str, task: usize) -> Self {
        let key = format!("{prefix}:{{task-{task}}}");
        Self { connection, counter: format!("{key}:fence"), key, fence: Fence::default() }
    }
}

impl Operation for Fenced {
    async fn run(&mut self) -> Result<()> {
        let token: [u8; 16] = rand::random();
        let mut acquire = ACQUIRE.key(&self.key);
        acquire.key(&self.counter).arg(&token).arg(LEASE_MS);
        let fence = acquire.invoke_async(&mut self.connection).await?;
        self.fence.counts(fence)?;
        release(&mut self.connection, &self.key, &token).await
    }
}

/// The least code without fencing tokens.
pub(super) struct Plain {
    connection: ConnectionManager,
    key: String,
}

impl Plain {
    pub(super) fn new(connection: ConnectionManager, task: usize) -> Self {
        Self { connection, key: format!("plain:{{task-{task}}}") }
    }
}

impl Operation for Plain {
    async fn run(&mut self) -> Result<()> {
        let token: [u8; 16] = rand::random();
        let mut set = cmd("SET");
        set.arg(&self.key).arg(&token).arg("NX").arg("PX").arg(LEASE_MS);
        let acquired: bool = set.query_async(&mut self.connection).await?;
        ensure!(acquired, "the lock is held by another");
        release(&mut self.connection, &self.key, &token).await
    }
}

pub(super) async fn release(connection: &mut ConnectionManager, key: &str, token: &[u8; 16]) -> Result<()> {
    let released: bool = RELEASE.key(key).arg(token).invoke_async(connection).await?;
    ensure!(released, "the lock is lost");
    Ok(())
}

/// redis-lock on kv-redis: a deadline per call instead of redis-rs' timeout.
pub(super) struct Ours {
    locks: LockManager,
    name: String,
    fence: Fence,
}

impl Ours {
    pub(super) fn new(locks: LockManager, task: usize) -> Self {
        Self { locks, name: format!("task-{task}"), fence: Fence::default() }
    }
}

impl Operation for Ours {
    async fn run(&mut self) -> Result<()> {
        let taken = self.locks.try_acquire(&self.name).await?;
        let Some(guard) = taken.acquired() else { anyhow::bail!("the lock is held by another") };
        self.fence.grows(guard.fencing_token())?;
        let released = guard.release().await?;
        ensure!(released == Release::Released, "release finds {released:?}");
        Ok(())
    }
}

/// rslock as its README uses it, on one server.
pub(super) struct Rslock {
    locks: rslock::LockManager,
    name: String,
}

impl Rslock {
    pub(super) fn new(locks: rslock::LockManager, task: usize) -> Self {
        Self { locks, name: format!("rslock:{{task-{task}}}") }
    }
}

impl Operation for Rslock {
    async fn run(&mut self) -> Result<()> {
        let lock = self.locks.lock(self.name.as_str(), LEASE).await?;
        // It does not say whether it released: the next acquisition and the count of DEL do.
        self.locks.unlock(&lock).await;
        Ok(())
    }
}
