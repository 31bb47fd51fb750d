//! Every future is dropped at each of its awaits, and every reply is lost once, on a store that stops at both sides of each call.

use crate::backend::eventually;
use kv_core::{Around, Call, Error, ErrorKind, Executed, KvStore, Layered, MemoryStore, Result};
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
pub(crate) struct Steps {
    pub(crate) lose_next: Arc<AtomicBool>,
}

impl Steps {
    pub(crate) fn lose_next_reply(&self) {
        self.lose_next.store(true, Ordering::SeqCst);
    }
}

impl Around for Steps {
    async fn around<T: Send>(&self, mut call: Call<'_, T>) -> Result<T> {
        yield_now().await;
        let reply = call.run().await;
        yield_now().await;
        if self.lose_next.swap(false, Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Timeout, "test").with_executed(Executed::Maybe));
        }
        reply
    }
}

pub(crate) type Stepping = Layered<MemoryStore, Steps>;

pub(crate) fn stepping() -> Stepping {
    Layered::new(MemoryStore::new(), Steps::default())
}

/// Polls a future so many times and drops it; says whether it was done by then.
pub(crate) async fn poll_times<T>(times: usize, future: impl Future<Output = T>) -> Option<T> {
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
pub(crate) async fn at_every_await<F: Future<Output = bool>>(case: impl Fn(usize) -> F) {
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
    eventually("the lock is free", || async { !store.inner().exists("lock:{job}").await.unwrap() }).await;
}

#[tokio::test]
async fn a_dropped_acquisition_leaves_the_lock_free() {
    at_every_await(|polls| async move {
        let store = stepping();
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
        let store = stepping();
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
        let store = stepping();
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
        let store = stepping();
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
async fn a_dropped_share_is_left_and_lets_the_next_in() {
    at_every_await(|polls| async move {
        let store = stepping();
        let lock = locks(&store).rw_lock("job").unwrap();
        let taken = poll_times(polls, lock.read(Duration::ZERO)).await.map(Result::unwrap);
        let done = match taken {
            // Taken after three polls; its release is dropped after one at first.
            Some(guard) => poll_times(polls - 2, guard.release()).await.is_some(),
            None => false,
        };
        eventually("nobody is inside", || async { !store.inner().exists("lock:{job}:rw").await.unwrap() }).await;
        done
    })
    .await;
}

#[tokio::test]
async fn a_dropped_wait_for_a_share_holds_nobody_up() {
    for polls in 0..30 {
        let store = stepping();
        let lock = locks(&store).rw_lock("job").unwrap();
        let holder = lock.read(Duration::ZERO).await.unwrap();
        // A writer in line keeps readers out, and is let in itself when the holder leaves meanwhile.
        let writer = tokio::spawn({
            let lock = lock.clone();
            async move { poll_times(polls, lock.write(Duration::from_secs(60))).await.is_some() }
        });
        for _ in 0..polls / 2 {
            yield_now().await;
        }
        let released = poll_times(50, holder.release()).await.unwrap();
        assert_eq!(released.unwrap(), Release::Released);
        writer.await.unwrap();
        drop(lock.read(Duration::from_secs(9)).await.unwrap());
        eventually("nobody is inside", || async {
            let inside = store.inner().exists("lock:{job}:rw").await.unwrap();
            !inside && !store.inner().exists("lock:{job}:rw-line").await.unwrap()
        })
        .await;
    }
}

#[tokio::test]
async fn a_lost_reply_is_an_error_and_leaves_nothing_behind() {
    let lose = |store: &Stepping| store.layer().lose_next_reply();
    let store = stepping();
    let manager = locks(&store);
    lose(&store);
    let error = manager.try_acquire("job").await.unwrap_err();
    assert!(matches!(&error, LockError::Store(error) if error.executed() == Executed::Maybe), "{error}");
    becomes_free(&store).await;

    let store = stepping();
    let semaphore = locks(&store).semaphore("job", 2).unwrap();
    lose(&store);
    let error = semaphore.try_acquire().await.unwrap_err();
    assert!(matches!(&error, LockError::Store(error) if error.executed() == Executed::Maybe), "{error}");
    eventually("the permit is back", || async { semaphore.inspect().await.unwrap().taken == 0 }).await;

    let store = stepping();
    let guard = locks(&store).acquire("job", Duration::ZERO).await.unwrap();
    lose(&store);
    assert!(guard.release().await.is_err());
    becomes_free(&store).await;

    let store = stepping();
    let mut guard = locks(&store).acquire("job", Duration::ZERO).await.unwrap();
    lose(&store);
    assert!(guard.extend(Duration::from_secs(600)).await.is_err());
    assert!(guard.is_valid() && guard.remaining() < Duration::from_secs(60), "nothing is claimed that is not sure");
}

#[tokio::test]
async fn a_dropped_check_takes_its_cost_once_or_not_at_all() {
    at_every_await(|polls| async move {
        let store = stepping();
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
    let store = stepping();
    let limiter = RateLimiter::new(Arc::new(store.clone()), Quota::per_day(5), RateLimitOptions::default()).unwrap();
    store.layer().lose_next_reply();
    assert_eq!(limiter.check("ada").await.unwrap_err().executed(), Executed::Maybe);
    assert_eq!(limiter.peek("ada").await.unwrap().remaining(), 4);
}

#[tokio::test]
async fn a_dropped_caller_leaves_its_load_to_run_once() {
    at_every_await(|polls| async move {
        let store = stepping();
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
        assert!(!store.inner().exists("cache:{k}:load").await.unwrap());
        done
    })
    .await;
}

#[tokio::test]
async fn a_dropped_invalidation_harms_nobody() {
    at_every_await(|polls| async move {
        let store = stepping();
        let cache = Cache::<String>::new(Arc::new(store), CacheOptions::default()).unwrap();
        let load = || async { Ok::<_, io::Error>(Some("v".to_owned())) };
        cache.get_or_load("k", load).await.unwrap();
        let done = poll_times(polls, cache.invalidate("k")).await.is_some();
        assert_eq!(*cache.get_or_load("k", load).await.unwrap().unwrap(), "v");
        done
    })
    .await;
}
