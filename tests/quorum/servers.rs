//! Three real servers that are killed, paused and restarted.

use super::{KEY, LEASE, NO_WAIT};
use crate::backend::{eventually, patient, soon};
use kv_core::KvStore;
use kv_redis::RedisStore;
use redis_lock::{LockError, QuorumAcquire, QuorumManager, QuorumOptions, Release, Renewal};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use xtask::{fixture::Server, resp::Reply};

/// So long that waiting for it shows.
const PATIENCE: Duration = Duration::from_secs(2);

/// With a time-out that a busy machine does not reach by itself.
fn options() -> QuorumOptions {
    super::options().node_timeout(Duration::from_millis(500))
}

struct Servers {
    each: [Server; 3],
    stores: Vec<Arc<dyn KvStore>>,
}

impl Servers {
    async fn start() -> Self {
        let each = [(); 3].map(|()| Server::start().unwrap());
        let mut stores = Vec::new();
        for server in &each {
            stores
                .push(Arc::new(RedisStore::connect_with(&server.url(), patient()).await.unwrap()) as Arc<dyn KvStore>);
        }
        Self { each, stores }
    }

    fn locks(&self, options: QuorumOptions) -> QuorumManager {
        QuorumManager::new(self.stores.clone(), options).unwrap()
    }

    /// What stands under the lock's key, asked of the server itself.
    fn holder(&self, at: usize) -> Option<Vec<u8>> {
        match self.each[at].call(&["GET", KEY]).unwrap() {
            Reply::Bulk(holder) => holder,
            other => panic!("{other:?}"),
        }
    }

    /// How many `SET` the server has run.
    fn sets(&self, at: usize) -> usize {
        let Reply::Bulk(Some(stats)) = self.each[at].call(&["INFO", "commandstats"]).unwrap() else { panic!("stats") };
        let stats = String::from_utf8(stats).unwrap();
        let calls = stats.split("cmdstat_set:calls=").nth(1).and_then(|rest| rest.split(',').next());
        calls.map_or(0, |calls| calls.parse().unwrap())
    }

    async fn become_free(&self) {
        eventually("all servers are free", || async { (0..3).all(|at| self.holder(at).is_none()) }).await;
    }
}

/// What a lock, an extension and a release take, at the slowest of some.
async fn slowest(locks: &QuorumManager) -> Duration {
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let started = Instant::now();
        let guard = locks.acquire("job", NO_WAIT).await.unwrap();
        assert!(matches!(locks.try_acquire("job").await.unwrap(), QuorumAcquire::Held));
        assert_eq!(guard.extend().await, Renewal::Renewed);
        assert_eq!(guard.release().await.unwrap(), Release::Released);
        slowest = slowest.max(started.elapsed());
    }
    slowest
}

#[tokio::test]
async fn one_server_that_is_paused_or_killed_costs_nothing_noticeable() {
    let servers = Servers::start().await;
    let locks = servers.locks(options().node_timeout(PATIENCE));
    let healthy = slowest(&locks).await;
    servers.each[1].pause().unwrap();
    let paused = slowest(&locks).await;
    servers.each[1].kill().unwrap();
    let killed = slowest(&locks).await;
    for took in [healthy, paused, killed] {
        assert!(took < PATIENCE / 4, "healthy {healthy:?}, paused {paused:?}, killed {killed:?}");
    }
}

#[tokio::test]
async fn two_servers_down_are_an_error_and_leave_nothing_on_the_third() {
    let servers = Servers::start().await;
    let locks = servers.locks(options());
    servers.each[0].kill().unwrap();
    servers.each[2].kill().unwrap();
    for wait in [NO_WAIT, Duration::from_millis(100)] {
        let error = locks.acquire("job", wait).await.unwrap_err();
        assert!(matches!(&error, LockError::Store(_)) && error.is_temporary(), "{error}");
    }
    eventually("the third is free", || async { servers.holder(1).is_none() }).await;
    assert!(servers.sets(1) >= 2);
}

#[tokio::test]
async fn an_extension_in_a_pause_is_unknown_and_the_lock_is_held_everywhere_after_it() {
    let servers = Servers::start().await;
    let guard = servers.locks(options()).acquire("job", NO_WAIT).await.unwrap();
    eventually("all have it", || async { (0..3).all(|at| servers.holder(at).is_some()) }).await;
    servers.each[0].pause().unwrap();
    servers.each[1].pause().unwrap();
    assert_eq!(guard.extend().await, Renewal::Unknown);
    assert!(guard.is_valid());
    servers.each[0].resume().unwrap();
    servers.each[1].resume().unwrap();
    eventually("it is renewed", || async { guard.extend().await == Renewal::Renewed }).await;
    let token = servers.holder(0).unwrap();
    assert!((0..3).all(|at| servers.holder(at).as_ref() == Some(&token)));
    assert_eq!(guard.release().await.unwrap(), Release::Released);
    servers.become_free().await;
}

#[tokio::test]
async fn a_yes_that_comes_late_is_released() {
    let servers = Servers::start().await;
    let locks = servers.locks(options());
    servers.each[0].pause().unwrap();
    servers.each[1].pause().unwrap();
    assert!(locks.try_acquire("job").await.is_err());
    servers.each[0].resume().unwrap();
    servers.each[1].resume().unwrap();
    eventually("both have done it", || async { servers.sets(0) == 1 && servers.sets(1) == 1 }).await;
    servers.become_free().await;

    // It was asked for a lock that is released before it answers.
    servers.each[2].pause().unwrap();
    let guard = locks.acquire("job", NO_WAIT).await.unwrap();
    assert_eq!(guard.release().await.unwrap(), Release::Released);
    servers.each[2].resume().unwrap();
    eventually("it has done it", || async { servers.sets(2) == 2 }).await;
    servers.become_free().await;
}

#[tokio::test]
async fn theft_is_told_by_the_next_renewal() {
    let servers = Servers::start().await;
    let lease = Duration::from_secs(2);
    let guard = servers.locks(options().lease(lease).renew(true)).acquire("job", NO_WAIT).await.unwrap();
    servers.each[0].call(&["SET", KEY, "thief"]).unwrap();
    servers.each[1].call(&["SET", KEY, "thief"]).unwrap();
    let since = Instant::now();
    soon("the loss is told", guard.lost()).await;
    assert!(since.elapsed() < lease && !guard.is_valid());
    assert_eq!(guard.extend().await, Renewal::Lost);
    assert_eq!(guard.release().await.unwrap(), Release::Stolen);
    assert_eq!(servers.holder(0).as_deref(), Some(&b"thief"[..]));
    eventually("our vote is given back", || async { servers.holder(2).is_none() }).await;
}

#[tokio::test]
async fn a_server_that_restarts_empty_gets_the_lock_again() {
    let servers = Servers::start().await;
    let guard = servers.locks(options()).acquire("job", NO_WAIT).await.unwrap();
    servers.each[0].kill().unwrap();
    assert_eq!(guard.extend().await, Renewal::Renewed);
    servers.each[0].restart().unwrap();
    assert_eq!(servers.holder(0), None);
    eventually("it is healed", || async {
        assert_eq!(guard.extend().await, Renewal::Renewed);
        servers.holder(0).is_some()
    })
    .await;
    assert_eq!(servers.holder(0), servers.holder(1));
    drop(guard);
    servers.become_free().await;
}

#[tokio::test]
async fn foreign_holders_exclude_ours_and_ours_exclude_them() {
    let servers = Servers::start().await;
    let locks = servers.locks(options());
    let foreign = |at: usize| {
        let set = servers.each[at].call(&["SET", KEY, "foreign", "NX", "PX", "60000"]).unwrap();
        set == Reply::Status("OK".into())
    };
    // Another type of value is somebody else's, too.
    servers.each[0].call(&["HSET", KEY, "field", "1"]).unwrap();
    assert!(foreign(1));
    assert!(matches!(locks.try_acquire("job").await.unwrap(), QuorumAcquire::Held));
    servers.each[0].call(&["DEL", KEY]).unwrap();
    eventually("the third is free", || async { servers.holder(2).is_none() }).await;
    let guard = locks.acquire("job", NO_WAIT).await.unwrap();
    eventually("ours excludes it", || async { !foreign(0) && !foreign(2) }).await;
    assert_ne!(servers.holder(0).as_deref(), Some(&b"foreign"[..]));
    drop(guard);
    eventually("ours are free", || async { servers.holder(0).is_none() && servers.holder(2).is_none() }).await;
    assert!(servers.holder(1).is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sections_never_overlap_while_a_server_hangs() {
    let servers = Servers::start().await;
    let (inside, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let locks = servers.locks(options().node_timeout(PATIENCE));
            let (inside, done) = (inside.clone(), done.clone());
            tokio::spawn(async move {
                for _ in 0..5 {
                    let guard = locks.acquire("job", LEASE).await.unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two holders");
                    tokio::task::yield_now().await;
                    inside.fetch_sub(1, Ordering::SeqCst);
                    // Who had the vote of the server that hangs, and not those of both others, cannot know.
                    assert!(matches!(guard.release().await, Ok(Release::Released) | Err(LockError::Store(_))));
                    done.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    eventually("half is done", || async { done.load(Ordering::SeqCst) >= 10 }).await;
    servers.each[0].pause().unwrap();
    for task in tasks {
        soon("the rest is done", task).await.unwrap();
    }
    servers.each[0].resume().unwrap();
    servers.become_free().await;
}
