//! Waiting for a share: who is served when, and what is left behind.

use super::{
    LONG, forge, manager, manager_with, permits, permits_in_line, reader_in_line, rw, waiting, writer_in_line,
};
use crate::backend::{Backend, eventually, on_every_backend, soon};
use kv_core::Arg;
use redis_lock::{LockError, LockOptions, Release};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::Instant;

on_every_backend!(
    whoever_came_first_is_served_first,
    a_release_hands_over_at_once,
    a_cancelled_wait_leaves_the_line,
    a_cancelled_writer_lets_the_readers_behind_it_in,
    a_cancelled_wait_passes_on_what_it_was_granted,
    a_waiter_that_died_stops_nobody,
    a_lost_line_is_joined_again,
    waits_leave_nothing_behind,
    a_deleted_room_wakes_whoever_waits,
);

mod one_server {
    use super::a_waiter_that_nobody_listens_for_is_gone;

    super::on_every_backend!(@one_server a_waiter_that_nobody_listens_for_is_gone);
}

async fn whoever_came_first_is_served_first(backend: &Backend) {
    let guard = permits(&manager(backend), 1).acquire(LONG).await.unwrap();
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for number in 0..5 {
        let (waiter, served) = (permits_in_line(backend, 1, 1).await, served.clone());
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
    assert!(served.iter().map(|(number, _)| *number).eq(0..5), "{served:?}");
    assert!(served.is_sorted_by(|(_, one), (_, two)| one < two), "{served:?}");
}

async fn a_release_hands_over_at_once(backend: &Backend) {
    // A claim, and with it the look of a waiter for itself, that comes too late to explain anything.
    let patient = LockOptions::default().claim(Duration::from_secs(10)).lease(Duration::from_secs(60));
    let locks = || manager_with(backend, patient.clone());
    let guard = rw(&locks()).write(LONG).await.unwrap();
    let lock = rw(&locks());
    let waiter = super::line_up(backend, async move { lock.read(LONG).await }).await;
    let released = Instant::now();
    guard.release().await.unwrap();
    let next = soon("the next", waiter).await.unwrap().unwrap();
    assert!(released.elapsed() < Duration::from_millis(1900), "{:?}", released.elapsed());
    assert!(next.is_valid());
    assert_eq!(next.release().await.unwrap(), Release::Released);
}

async fn a_cancelled_wait_leaves_the_line(backend: &Backend) {
    let holder = rw(&manager(backend)).write(LONG).await.unwrap();
    let (one, two) = (writer_in_line(backend).await, writer_in_line(backend).await);
    two.abort();
    eventually("is out of the line", || async { waiting(backend).await == 1 }).await;
    holder.release().await.unwrap();
    assert!(soon("the other", one).await.unwrap().is_ok());
}

async fn a_cancelled_writer_lets_the_readers_behind_it_in(backend: &Backend) {
    let holder = rw(&manager(backend)).read(LONG).await.unwrap();
    let writer = writer_in_line(backend).await;
    let readers = [reader_in_line(backend).await, reader_in_line(backend).await];
    let started = Instant::now();
    writer.abort();
    for reader in readers {
        assert!(soon("a reader", reader).await.unwrap().is_ok());
    }
    assert!(started.elapsed() < Duration::from_millis(1900), "{:?}", started.elapsed());
    assert!(holder.is_valid());
}

async fn a_cancelled_wait_passes_on_what_it_was_granted(backend: &Backend) {
    for _ in 0..5 {
        let guard = rw(&manager(backend)).write(LONG).await.unwrap();
        let (one, two) = (writer_in_line(backend).await, writer_in_line(backend).await);
        let started = Instant::now();
        guard.release().await.unwrap();
        one.abort();
        drop(one);
        let served = soon("the other", two).await.unwrap().unwrap();
        assert!(started.elapsed() < Duration::from_millis(1900), "{:?}", started.elapsed());
        served.release().await.unwrap();
    }
}

async fn a_waiter_that_died_stops_nobody(backend: &Backend) {
    let _reader = rw(&manager(backend)).read(LONG).await.unwrap();
    // A writer that nobody has seen look, in front.
    forge(backend, "lock:{job}:rw-line", &format!("{:032x}:2147483647:400:2147483647:0:", 7)).await;
    forge(backend, "lock:{job}:rw-line", "garbage").await;
    forge(backend, "lock:{job}:rw-line", &format!("{:032x}:5:400:4:0:", 8)).await;
    assert!(rw(&manager(backend)).try_read().await.unwrap().is_some());
    assert_eq!(waiting(backend).await, 0);
}

/// Stands in line to write, and is never seen again.
async fn writer_that_dies(backend: &Backend, channel: &str) {
    let enter = redis_lock::SCRIPTS.iter().find(|script| script.name() == "redis-lock/enter").unwrap();
    let ticket = format!("dead:2147483647:400:2147483647:{}:{channel}", u8::from(!channel.is_empty()));
    let keys = ["lock:{job}:rw", "lock:{job}:rw-fence", "lock:{job}:rw-line"];
    let (holder, limit) = ("dead:2147483647".into(), Arg::Int(i32::MAX.into()));
    let args = [holder, Arg::Int(60_000), limit, ticket.as_str().into(), Arg::Int(0)];
    backend.run(enter, &keys, &args).await.unwrap();
    assert_eq!(waiting(backend).await, 1);
}

async fn a_waiter_that_nobody_listens_for_is_gone(backend: &Backend) {
    let _reader = rw(&manager(backend)).read(LONG).await.unwrap();
    writer_that_dies(backend, "nobody").await;
    assert!(rw(&manager(backend)).try_read().await.unwrap().is_some());
}

#[tokio::test]
async fn a_waiter_that_does_not_look_is_given_up() {
    let backend = Backend::memory();
    let locks = manager_with(&backend, LockOptions::default().lease(Duration::from_secs(60)));
    let _reader = rw(&locks).read(LONG).await.unwrap();
    writer_that_dies(&backend, "").await;
    backend.pass(Duration::from_millis(9_990)).await;
    assert!(rw(&locks).try_read().await.unwrap().is_none());
    backend.pass(Duration::from_millis(20)).await;
    assert!(rw(&locks).try_read().await.unwrap().is_some());
}

async fn a_lost_line_is_joined_again(backend: &Backend) {
    let holder = rw(&manager(backend)).read(LONG).await.unwrap();
    let writer = writer_in_line(backend).await;
    backend.store.delete(&["lock:{job}:rw-line"]).await.unwrap();
    eventually("in line again", || async { waiting(backend).await == 1 }).await;
    assert!(rw(&manager(backend)).try_read().await.unwrap().is_none());
    holder.release().await.unwrap();
    let guard = soon("the writer", writer).await.unwrap().unwrap();
    assert!(rw(&manager(backend)).inspect().await.unwrap().writing);
    assert_eq!(guard.release().await.unwrap(), Release::Released);
}

async fn waits_leave_nothing_behind(backend: &Backend) {
    let guard = rw(&manager(backend)).write(LONG).await.unwrap();
    let timed_out = rw(&manager(backend)).read(Duration::from_millis(30)).await.unwrap_err();
    assert!(matches!(timed_out, LockError::Timeout));
    eventually("is out of the line", || async { waiting(backend).await == 0 }).await;
    let waiter = writer_in_line(backend).await;
    guard.release().await.unwrap();
    waiter.await.unwrap().unwrap().release().await.unwrap();
    eventually("no key but the fence", || async {
        let line = backend.store.exists("lock:{job}:rw-line").await.unwrap();
        let room = backend.store.exists("lock:{job}:rw").await.unwrap();
        !line && !room
    })
    .await;
}

async fn a_deleted_room_wakes_whoever_waits(backend: &Backend) {
    let guard = rw(&manager(backend)).write(LONG).await.unwrap();
    let waiter = writer_in_line(backend).await;
    backend.store.delete(&["lock:{job}:rw"]).await.unwrap();
    let next = soon("the next", waiter).await.unwrap().unwrap();
    assert!(next.fencing_token() > guard.fencing_token());
    assert_eq!(guard.release().await.unwrap(), Release::AlreadyExpired);
    assert!(rw(&manager(backend)).inspect().await.unwrap().writing, "the other has it still");
}
