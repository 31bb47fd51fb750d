//! Every future is dropped at each of its awaits, and every reply is lost once, on a store that stops at both sides of each call.

use crate::backend::eventually;
use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{
    Arg, BlockingStore, Capabilities, Error, ErrorKind, Executed, KvStore, MemoryStore, PubSub, Reply, Result,
    ScanStore, Script, ScriptStore, SetOptions, Ttl,
};
use redis_cache::{Cache, CacheOptions, Lookup};
use redis_lock::{LockError, LockManager, LockOptions, Release};
use redis_ratelimit::{Quota, RateLimitOptions, RateLimiter};
use std::{
    future::poll_fn,
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    task::Poll,
    time::Duration,
};
use tokio::task::yield_now;

/// Yields before a call is sent and before its reply arrives, and loses the reply when told to.
#[derive(Clone, Debug, Default)]
struct Stepping {
    store: MemoryStore,
    lose_next: Arc<AtomicBool>,
}

impl Stepping {
    async fn step<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        yield_now().await;
        let reply = call.await;
        yield_now().await;
        if self.lose_next.swap(false, Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Timeout, "test").with_executed(Executed::Maybe));
        }
        reply
    }
}

#[async_trait]
impl KvStore for Stepping {
    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        self.step(self.store.get(key)).await
    }
    async fn set(&self, key: &str, value: &[u8], options: SetOptions) -> Result<bool> {
        self.step(self.store.set(key, value, options)).await
    }
    async fn delete(&self, keys: &[&str]) -> Result<u64> {
        self.step(self.store.delete(keys)).await
    }
    async fn exists(&self, key: &str) -> Result<bool> {
        self.step(self.store.exists(key)).await
    }
    async fn ttl(&self, key: &str) -> Result<Ttl> {
        self.step(self.store.ttl(key)).await
    }
    async fn expire(&self, key: &str, ttl: Duration) -> Result<bool> {
        self.step(self.store.expire(key, ttl)).await
    }
    async fn incr_by(&self, key: &str, delta: i64) -> Result<i64> {
        self.step(self.store.incr_by(key, delta)).await
    }
    async fn mget(&self, keys: &[&str]) -> Result<Vec<Option<Bytes>>> {
        self.step(self.store.mget(keys)).await
    }
    async fn mset(&self, entries: &[(&str, &[u8])], ttl: Option<Duration>) -> Result<()> {
        self.step(self.store.mset(entries, ttl)).await
    }
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }
    fn scripts(&self) -> Option<&dyn ScriptStore> {
        Some(self)
    }
    fn pubsub(&self) -> Option<&dyn PubSub> {
        self.store.pubsub()
    }
    fn scan(&self) -> Option<&dyn ScanStore> {
        self.store.scan()
    }
    fn blocking(&self) -> Option<&dyn BlockingStore> {
        self.store.blocking()
    }
}

#[async_trait]
impl ScriptStore for Stepping {
    async fn run(&self, script: &Script, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
        self.step(self.store.run(script, keys, args)).await
    }
}

/// Polls a future so many times and drops it; says whether it was done by then.
async fn poll_times<T>(times: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    for _ in 0..times {
        let polled = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await;
        if let Poll::Ready(done) = polled {
            return Some(done);
        }
        // Others get their turn, as they would between two polls.
        yield_now().await;
    }
    None
}

/// Runs a case with the future dropped after ever more polls, until it is done before.
async fn at_every_await<F: Future<Output = bool>>(case: impl Fn(usize) -> F) {
    for polls in 0.. {
        if case(polls).await {
            assert!(polls > 2, "the future stops at both sides of a call");
            return;
        }
        assert!(polls < 50, "never done");
    }
}

fn locks(store: &Stepping) -> LockManager {
    // A lease beyond the test's patience: what becomes free is released, and does not expire.
    LockManager::new(Arc::new(store.clone()), LockOptions::default().lease(Duration::from_secs(60))).unwrap()
}

async fn becomes_free(store: &Stepping) {
    eventually("the lock is free", || async { !store.store.exists("lock:{job}").await.unwrap() }).await;
}

#[tokio::test]
async fn a_dropped_acquisition_leaves_the_lock_free() {
    at_every_await(|polls| async move {
        let store = Stepping::default();
        let locks = locks(&store);
        let done = poll_times(polls, locks.acquire("job", Duration::ZERO)).await.is_some();
        becomes_free(&store).await;
        done
    })
    .await;
}

#[tokio::test]
async fn a_dropped_wait_leaves_the_lock_to_its_holder() {
    for polls in 0..10 {
        let store = Stepping::default();
        let locks = locks(&store);
        let guard = locks.acquire("job", Duration::ZERO).await.unwrap();
        assert!(poll_times(polls, locks.acquire("job", Duration::from_secs(60))).await.is_none());
        yield_now().await;
        assert_eq!(guard.release().await.unwrap(), Release::Released);
    }
}

#[tokio::test]
async fn a_dropped_release_releases() {
    at_every_await(|polls| async move {
        let store = Stepping::default();
        let locks = locks(&store);
        let guard = locks.acquire("job", Duration::ZERO).await.unwrap();
        let done = poll_times(polls, guard.release()).await.is_some();
        becomes_free(&store).await;
        done
    })
    .await;
}

#[tokio::test]
async fn a_dropped_extension_keeps_the_lock() {
    at_every_await(|polls| async move {
        let store = Stepping::default();
        let locks = locks(&store);
        let mut guard = locks.acquire("job", Duration::ZERO).await.unwrap();
        let done = poll_times(polls, guard.extend(Duration::from_secs(60))).await.is_some();
        assert!(guard.is_valid());
        assert_eq!(guard.release().await.unwrap(), Release::Released);
        done
    })
    .await;
}

#[tokio::test]
async fn a_lost_reply_is_an_error_and_leaves_nothing_behind() {
    let lose = |store: &Stepping| store.lose_next.store(true, Ordering::SeqCst);
    let store = Stepping::default();
    let manager = locks(&store);
    lose(&store);
    let error = manager.try_acquire("job").await.unwrap_err();
    assert!(matches!(&error, LockError::Store(error) if error.executed() == Executed::Maybe), "{error}");
    becomes_free(&store).await;

    let store = Stepping::default();
    let guard = locks(&store).acquire("job", Duration::ZERO).await.unwrap();
    lose(&store);
    assert!(guard.release().await.is_err());
    becomes_free(&store).await;

    let store = Stepping::default();
    let mut guard = locks(&store).acquire("job", Duration::ZERO).await.unwrap();
    lose(&store);
    assert!(guard.extend(Duration::from_secs(600)).await.is_err());
    assert!(guard.is_valid() && guard.remaining() < Duration::from_secs(60), "nothing is claimed that is not sure");
}

#[tokio::test]
async fn a_dropped_check_takes_its_cost_once_or_not_at_all() {
    at_every_await(|polls| async move {
        let store = Stepping::default();
        let limiter =
            RateLimiter::new(Arc::new(store.clone()), Quota::per_day(5), RateLimitOptions::default()).unwrap();
        let done = poll_times(polls, limiter.check("ada")).await.is_some();
        let left = limiter.peek("ada").await.unwrap().remaining();
        assert!(left == 5 || left == 4);
        done
    })
    .await;
}

#[tokio::test]
async fn a_lost_reply_to_a_check_is_not_asked_again() {
    let store = Stepping::default();
    let limiter = RateLimiter::new(Arc::new(store.clone()), Quota::per_day(5), RateLimitOptions::default()).unwrap();
    store.lose_next.store(true, Ordering::SeqCst);
    assert_eq!(limiter.check("ada").await.unwrap_err().executed(), Executed::Maybe);
    assert_eq!(limiter.peek("ada").await.unwrap().remaining(), 4);
}

#[tokio::test]
async fn a_dropped_caller_leaves_its_load_to_run_once() {
    at_every_await(|polls| async move {
        let store = Stepping::default();
        let cache = Cache::<String>::new(Arc::new(store.clone()), CacheOptions::default()).unwrap();
        let loads = Arc::new(AtomicU32::new(0));
        let load = || {
            let loads = loads.clone();
            move || async move {
                loads.fetch_add(1, Ordering::SeqCst);
                yield_now().await;
                Ok::<_, io::Error>(Some("v".to_owned()))
            }
        };
        let done = poll_times(polls, cache.get_or_load("k", load())).await.is_some();
        assert_eq!(*cache.get_or_load("k", load()).await.unwrap().unwrap(), "v");
        assert_eq!(loads.load(Ordering::SeqCst), 1);
        assert!(matches!(cache.get("k").await.unwrap(), Lookup::Hit(_)));
        assert!(!store.store.exists("cache:{k}:load").await.unwrap());
        done
    })
    .await;
}

#[tokio::test]
async fn a_dropped_invalidation_harms_nobody() {
    at_every_await(|polls| async move {
        let store = Stepping::default();
        let cache = Cache::<String>::new(Arc::new(store), CacheOptions::default()).unwrap();
        let load = || async { Ok::<_, io::Error>(Some("v".to_owned())) };
        cache.get_or_load("k", load).await.unwrap();
        let done = poll_times(polls, cache.invalidate("k")).await.is_some();
        assert_eq!(*cache.get_or_load("k", load).await.unwrap().unwrap(), "v");
        done
    })
    .await;
}
