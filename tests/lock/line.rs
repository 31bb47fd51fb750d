//! Waiting in line: who is served when, and who tells them.

use crate::backend::{Backend, eventually, on_every_backend, soon};
use kv_core::{KvStore, SetOptions};
use redis_lock::{LockError, LockGuard, LockManager, LockOptions, Release, TryAcquire};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{task::JoinHandle, time::Instant};

on_every_backend!(
    a_release_hands_the_lock_to_the_next_at_once,
    whoever_came_first_is_served_first,
    nobody_barges_in_front_of_those_who_wait,
    a_cancelled_wait_leaves_the_line,
    a_cancelled_wait_passes_on_what_it_was_granted,
    a_waiter_that_died_costs_no_more_than_its_claim,
    a_holder_that_died_costs_no_more_than_its_lease,
    a_deleted_lock_wakes_whoever_waits,
    a_wait_on_somebody_elses_lock_looks_again,
    waits_leave_nothing_behind,
    a_letter_that_comes_too_late_grants_nothing,
    a_wait_goes_on_after_a_letter_that_grants_nothing,
);

const LONG: Duration = Duration::from_secs(8);

/// A manager as another process would have it.
fn manager(backend: &Backend) -> LockManager {
    LockManager::new(backend.store.clone(), LockOptions::default()).unwrap()
}

type Waiting = JoinHandle<Result<LockGuard, LockError>>;

/// Waits with a manager of its own, and stands in line when this returns.
async fn line_up(backend: &Backend, name: &'static str) -> Waiting {
    line_up_with(manager(backend), name).await
}

async fn line_up_with(locks: LockManager, name: &'static str) -> Waiting {
    let before = locks.inspect(name).await.unwrap().waiting;
    let waiting = locks.clone();
    let waiter = tokio::spawn(async move { waiting.acquire(name, LONG).await });
    eventually("stands in line", || async { locks.inspect(name).await.unwrap().waiting > before }).await;
    waiter
}

async fn a_release_hands_the_lock_to_the_next_at_once(backend: &Backend) {
    let guard = manager(backend).try_acquire("job").await.unwrap().acquired().unwrap();
    let fence = guard.fencing_token();
    // A claim, and with it the look of a waiter for itself, that comes too late to explain anything.
    let patient = LockOptions::default().claim(Duration::from_secs(10)).lease(Duration::from_secs(60));
    let waiter = line_up_with(LockManager::new(backend.store.clone(), patient).unwrap(), "job").await;
    let released = Instant::now();
    assert_eq!(guard.release().await.unwrap(), Release::Released);
    assert!(backend.store.exists("lock:{job}").await.unwrap(), "it is never free in between");
    let next = soon("the next", waiter).await.unwrap().unwrap();
    assert!(released.elapsed() < Duration::from_millis(1900), "{:?}", released.elapsed());
    assert!(next.fencing_token() > fence && next.is_valid());
    assert_eq!(next.release().await.unwrap(), Release::Released);
}

async fn whoever_came_first_is_served_first(backend: &Backend) {
    let guard = manager(backend).try_acquire("job").await.unwrap().acquired().unwrap();
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for number in 0..6 {
        let (waiter, served) = (line_up(backend, "job").await, served.clone());
        tasks.push(tokio::spawn(async move {
            let guard = waiter.await.unwrap().unwrap();
            served.lock().unwrap().push((number, guard.fencing_token()));
            assert_eq!(guard.release().await.unwrap(), Release::Released);
        }));
    }
    guard.release().await.unwrap();
    for task in tasks {
        soon("a turn", task).await.unwrap();
    }
    let served = served.lock().unwrap();
    assert!(served.iter().map(|(number, _)| *number).eq(0..6), "{served:?}");
    assert!(served.is_sorted_by(|(_, one), (_, two)| one < two), "{served:?}");
}

async fn nobody_barges_in_front_of_those_who_wait(backend: &Backend) {
    // Time enough on a busy machine to line up.
    let lease = Duration::from_millis(if backend.is_memory() { 300 } else { 1500 });
    let brief = LockOptions::default().lease(lease).renew(false);
    let brief = LockManager::new(backend.store.clone(), brief).unwrap();
    std::mem::forget(brief.try_acquire("job").await.unwrap());
    let waiter = line_up(backend, "job").await;
    backend.pass(lease + Duration::from_millis(2)).await;
    // The lease is over; the one who asks first gives way to the one who came first.
    assert!(matches!(manager(backend).try_acquire("job").await.unwrap(), TryAcquire::Held { .. }));
    let guard = soon("the first", waiter).await.unwrap().unwrap();
    assert!(guard.is_valid());
}

async fn a_cancelled_wait_leaves_the_line(backend: &Backend) {
    let guard = manager(backend).try_acquire("job").await.unwrap().acquired().unwrap();
    let (one, two) = (line_up(backend, "job").await, line_up(backend, "job").await);
    one.abort();
    let locks = manager(backend);
    eventually("is out of the line", || async { locks.inspect("job").await.unwrap().waiting == 1 }).await;
    guard.release().await.unwrap();
    assert!(soon("the other", two).await.unwrap().is_ok());
}

async fn a_cancelled_wait_passes_on_what_it_was_granted(backend: &Backend) {
    for _ in 0..10 {
        let guard = manager(backend).try_acquire("job").await.unwrap().acquired().unwrap();
        let (one, two) = (line_up(backend, "job").await, line_up(backend, "job").await);
        let started = Instant::now();
        guard.release().await.unwrap();
        one.abort();
        drop(one);
        let served = soon("the other", two).await.unwrap().unwrap();
        // Sooner than by the end of its claim.
        assert!(started.elapsed() < Duration::from_millis(1900), "{:?}", started.elapsed());
        served.release().await.unwrap();
    }
}

async fn a_waiter_that_died_costs_no_more_than_its_claim(backend: &Backend) {
    let options = LockOptions::default().claim(Duration::from_millis(400));
    let locks = || LockManager::new(backend.store.clone(), options.clone()).unwrap();
    let guard = locks().try_acquire("job").await.unwrap().acquired().unwrap();
    let next = line_up_with(locks(), "job").await;
    // Somebody with a mailbox that nobody reads, before the one who lives.
    backend.run(&FORGE, &["lock:{job}:line"], &[format!("{:032x}:400:1:0:{}", 7, "").as_str().into()]).await.unwrap();
    let started = Instant::now();
    guard.release().await.unwrap();
    let served = soon("the one who lives", next).await.unwrap().unwrap();
    assert!(served.is_valid());
    let waited = started.elapsed();
    assert!(waited < Duration::from_secs(5), "{waited:?}");
}

async fn a_holder_that_died_costs_no_more_than_its_lease(backend: &Backend) {
    let brief = LockOptions::default().lease(Duration::from_millis(200)).renew(false);
    std::mem::forget(
        LockManager::new(backend.store.clone(), brief).unwrap().try_acquire("job").await.unwrap().acquired(),
    );
    let started = Instant::now();
    let guard = manager(backend).acquire("job", LONG).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    drop(guard);
}

async fn a_deleted_lock_wakes_whoever_waits(backend: &Backend) {
    let guard = manager(backend).try_acquire("job").await.unwrap().acquired().unwrap();
    let waiter = line_up(backend, "job").await;
    backend.store.delete(&["lock:{job}"]).await.unwrap();
    let next = soon("the next", waiter).await.unwrap().unwrap();
    assert!(next.fencing_token() > guard.fencing_token());
    assert_eq!(guard.release().await.unwrap(), Release::Stolen);
}

async fn a_wait_on_somebody_elses_lock_looks_again(backend: &Backend) {
    backend.store.set("lock:{job}", b"without a lease", SetOptions::default()).await.unwrap();
    let waiter = line_up(backend, "job").await;
    backend.store.delete(&["lock:{job}"]).await.unwrap();
    assert!(soon("the waiter", waiter).await.unwrap().is_ok());
    backend.put_other_type("lock:{hash}").await;
    let waiter = line_up(backend, "hash").await;
    backend.store.delete(&["lock:{hash}"]).await.unwrap();
    assert!(soon("the waiter", waiter).await.unwrap().is_ok());
}

async fn waits_leave_nothing_behind(backend: &Backend) {
    let guard = manager(backend).try_acquire("job").await.unwrap().acquired().unwrap();
    let timed_out = manager(backend).acquire("job", Duration::from_millis(30)).await.unwrap_err();
    assert!(matches!(timed_out, LockError::Timeout));
    let locks = manager(backend);
    eventually("is out of the line", || async { locks.inspect("job").await.unwrap().waiting == 0 }).await;
    let waiter = line_up(backend, "job").await;
    guard.release().await.unwrap();
    waiter.await.unwrap().unwrap().release().await.unwrap();
    eventually("no key but the fence", || async {
        let line = backend.store.exists("lock:{job}:line").await.unwrap();
        let lock = backend.store.exists("lock:{job}").await.unwrap();
        !line && !lock
    })
    .await;
}

async fn a_letter_that_comes_too_late_grants_nothing(backend: &Backend) {
    let options = LockOptions::default().claim(Duration::from_millis(200));
    let holder = manager(backend).try_acquire("job").await.unwrap().acquired().unwrap();
    let waiter = line_up_with(LockManager::new(backend.store.clone(), options).unwrap(), "job").await;
    // The waiter is granted the lock, and its letter is on its way for longer than its claim.
    let keys = ["lock:{job}", "lock:{job}:line"];
    let ticket = backend.run(&GRANT, &keys, &[]).await.unwrap().into_bytes("test").unwrap().unwrap();
    let ticket = String::from_utf8(ticket.to_vec()).unwrap();
    let locks = manager(backend);
    eventually("in line again", || async { locks.inspect("job").await.unwrap().waiting == 1 }).await;
    let (token, channel) = (ticket.split(':').next().unwrap(), ticket.splitn(5, ':').nth(4).unwrap());
    let pubsub = backend.store.pubsub().unwrap();
    let channel = channel.strip_prefix(&backend.name("")).unwrap_or(channel);
    assert!(pubsub.publish(channel, format!("{token}:{}", i64::MAX).as_bytes()).await.unwrap() <= 1);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!waiter.is_finished(), "somebody else has the lock");
    backend.store.delete(&["lock:{job}"]).await.unwrap();
    soon("the waiter", waiter).await.unwrap().unwrap().release().await.unwrap();
    drop(holder);
}

async fn a_wait_goes_on_after_a_letter_that_grants_nothing(backend: &Backend) {
    let holder = manager(backend).try_acquire("job").await.unwrap().acquired().unwrap();
    // Without renewal a claim is not worth having: it looks for itself when it is told, and finds the lock held.
    let options = LockOptions::default().claim(Duration::from_millis(100)).renew(false);
    let waiter = line_up_with(LockManager::new(backend.store.clone(), options).unwrap(), "job").await;
    let ticket = backend.run(&PEEK, &["lock:{job}:line"], &[]).await.unwrap().into_bytes("test").unwrap().unwrap();
    let ticket = String::from_utf8(ticket.to_vec()).unwrap();
    let (token, channel) = (ticket.split(':').next().unwrap(), ticket.splitn(5, ':').nth(4).unwrap());
    let channel = channel.strip_prefix(&backend.name("")).unwrap_or(channel);
    for _ in 0..2 {
        backend.store.pubsub().unwrap().publish(channel, format!("{token}:7").as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(!waiter.is_finished(), "{:?}", waiter.await);
    }
    holder.release().await.unwrap();
    soon("the waiter", waiter).await.unwrap().unwrap().release().await.unwrap();
}

/// The first in line.
static PEEK: kv_core::Script =
    kv_core::Script::new("test/peek", "return redis.call('LINDEX', KEYS[1], 0)", |store, keys, _| {
        type Line = std::collections::VecDeque<Box<str>>;
        let first = store.state::<Line>(keys[0])?.and_then(|line| line.front().cloned()).unwrap_or_default();
        Ok(kv_core::Reply::Bytes(String::from(first).into()))
    });

/// Grants the lock to the first in line, whose claim is over at once, and to somebody else after that.
static GRANT: kv_core::Script = kv_core::Script::new(
    "test/grant",
    "local ticket = redis.call('LPOP', KEYS[2]) redis.call('SET', KEYS[1], 'somebody', 'PX', 60000) return ticket",
    |store, keys, _| {
        type Line = std::collections::VecDeque<Box<str>>;
        let ticket = store.state::<Line>(keys[1])?.and_then(std::collections::VecDeque::pop_front).unwrap_or_default();
        store.delete(keys[1]);
        store.set(keys[0], "somebody", Some(60_000));
        Ok(kv_core::Reply::Bytes(String::from(ticket).into()))
    },
);

static FORGE: kv_core::Script = kv_core::Script::new(
    "test/forge",
    "local first = redis.call('LPOP', KEYS[1]) redis.call('RPUSH', KEYS[1], ARGV[1], first)",
    |store, keys, args| {
        type Line = std::collections::VecDeque<Box<str>>;
        let ticket = String::from_utf8(args[0].to_bytes().into_owned()).unwrap();
        let line = store.state::<Line>(keys[0])?.unwrap();
        line.push_front(ticket.into());
        Ok(kv_core::Reply::Nil)
    },
);
