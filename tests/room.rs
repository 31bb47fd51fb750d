//! Locks that are shared: the read-write lock and the semaphore.

mod lease;
mod line;
mod reader;
mod semaphore;

use crate::backend::{Backend, eventually};
use kv_core::{Arg, Reply, Script};
use redis_lock::{LockError, LockGuard, LockManager, LockOptions, RwLock, Semaphore};
use std::{collections::VecDeque, time::Duration};
use tokio::task::JoinHandle;

const NO_WAIT: Duration = Duration::ZERO;
const LONG: Duration = Duration::from_secs(8);
const BRIEF: Duration = Duration::from_millis(300);

/// A manager as another process would have it.
fn manager(backend: &Backend) -> LockManager {
    manager_with(backend, LockOptions::default())
}

fn manager_with(backend: &Backend, options: LockOptions) -> LockManager {
    LockManager::new(backend.store.clone(), options).unwrap()
}

/// A manager whose holders seem dead: nobody renews, and what is forgotten is soon over.
fn dying(backend: &Backend) -> LockManager {
    manager_with(backend, LockOptions::default().lease(BRIEF).renew(false))
}

fn rw(locks: &LockManager) -> RwLock {
    locks.rw_lock("job").unwrap()
}

fn permits(locks: &LockManager, limit: u32) -> Semaphore {
    locks.semaphore("job", limit).unwrap()
}

type Waiting<Of> = JoinHandle<Result<LockGuard<Of>, LockError>>;

/// How many stand in line, whichever of the two it is.
async fn waiting(backend: &Backend) -> u64 {
    let locks = manager(backend);
    let (rw, semaphore) = (rw(&locks), permits(&locks, 1));
    rw.inspect().await.unwrap().waiting + semaphore.inspect().await.unwrap().waiting
}

/// Stands in line when this returns.
async fn line_up<Of: Send + 'static>(
    backend: &Backend,
    wait: impl Future<Output = Result<LockGuard<Of>, LockError>> + Send + 'static,
) -> Waiting<Of> {
    let before = waiting(backend).await;
    let waiter = tokio::spawn(wait);
    eventually("stands in line", || async { waiting(backend).await > before }).await;
    waiter
}

async fn reader_in_line(backend: &Backend) -> Waiting<redis_lock::Reader> {
    let lock = rw(&manager(backend));
    line_up(backend, async move { lock.read(LONG).await }).await
}

async fn writer_in_line(backend: &Backend) -> Waiting<redis_lock::Writer> {
    let lock = rw(&manager(backend));
    line_up(backend, async move { lock.write(LONG).await }).await
}

async fn permits_in_line(backend: &Backend, limit: u32, permits: u32) -> Waiting<redis_lock::Permits> {
    let semaphore = self::permits(&manager(backend), limit);
    line_up(backend, async move { semaphore.acquire_many(permits, LONG).await }).await
}

/// Puts a ticket before all others, as a process that died would leave it.
async fn forge(backend: &Backend, line: &str, ticket: &str) {
    static FORGE: Script = Script::new("test/forge", "redis.call('LPUSH', KEYS[1], ARGV[1])", |store, keys, args| {
        let ticket: Box<str> = String::from_utf8(args[0].to_bytes().into_owned()).unwrap().into();
        match store.state::<VecDeque<Box<str>>>(keys[0])? {
            Some(line) => line.push_front(ticket),
            None => store.set_state(keys[0], VecDeque::from([ticket]), None),
        }
        Ok(Reply::Nil)
    });
    backend.run(&FORGE, &[line], &[Arg::from(ticket)]).await.unwrap();
}
