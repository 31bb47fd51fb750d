//! Readers and writers: who may be inside with whom.

use super::{LONG, NO_WAIT, dying, manager, reader_in_line, rw, writer_in_line};
use crate::backend::{Backend, eventually, on_every_backend, soon};
use kv_core::{ErrorKind, SetOptions, Ttl};
use redis_lock::{LockError, LockManager, Release};
use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

on_every_backend!(
    readers_share,
    a_writer_shares_with_nobody,
    a_writer_that_waits_is_not_passed,
    readers_behind_a_writer_come_in_together,
    a_dead_reader_ends_alone,
    a_dead_writer_lets_everybody_in,
    every_holder_has_a_larger_number,
    writers_never_overlap_with_anybody,
    something_else_under_the_keys_lets_nobody_in,
    the_lock_of_the_same_name_is_another,
    a_dropped_guard_leaves,
);

async fn readers_share(backend: &Backend) {
    let (one, two) = (manager(backend), manager(backend));
    let guards = [rw(&one).read(LONG).await.unwrap(), rw(&one).read(LONG).await.unwrap()];
    let other = rw(&two).try_read().await.unwrap().unwrap();
    let state = rw(&two).inspect().await.unwrap();
    assert!(state.readers == 3 && !state.writing && state.waiting == 0, "{state:?}");
    assert!(rw(&two).try_write().await.unwrap().is_none());
    for guard in guards {
        assert!(guard.is_valid() && guard.remaining() > Duration::from_secs(5));
        assert_eq!(guard.release().await.unwrap(), Release::Released);
    }
    assert!(rw(&two).try_write().await.unwrap().is_none(), "one still reads");
    assert_eq!(other.release().await.unwrap(), Release::Released);
    assert!(!backend.store.exists("lock:{job}:rw").await.unwrap(), "an empty room is none");
    assert!(rw(&two).try_write().await.unwrap().is_some());
}

async fn a_writer_shares_with_nobody(backend: &Backend) {
    let (ours, theirs) = (manager(backend), manager(backend));
    let guard = rw(&ours).write(LONG).await.unwrap();
    assert!(rw(&ours).inspect().await.unwrap().writing);
    for locks in [&ours, &theirs] {
        assert!(rw(locks).try_read().await.unwrap().is_none());
        assert!(rw(locks).try_write().await.unwrap().is_none());
        let error = rw(locks).read(Duration::from_millis(20)).await.unwrap_err();
        assert!(matches!(error, LockError::Timeout) && error.is_temporary());
        assert!(matches!(rw(locks).write(NO_WAIT).await, Err(LockError::Timeout)));
    }
    assert_eq!(guard.release().await.unwrap(), Release::Released);
    eventually("nobody waits", || async { rw(&ours).inspect().await.unwrap().waiting == 0 }).await;
    assert!(rw(&theirs).try_read().await.unwrap().is_some());
}

async fn a_writer_that_waits_is_not_passed(backend: &Backend) {
    let locks = manager(backend);
    let readers = [rw(&locks).read(LONG).await.unwrap(), rw(&locks).read(LONG).await.unwrap()];
    let writer = writer_in_line(backend).await;
    assert!(rw(&locks).try_read().await.unwrap().is_none(), "nobody passes who waits");
    let late = reader_in_line(backend).await;
    let [first, last] = readers;
    first.release().await.unwrap();
    assert!(!writer.is_finished() && rw(&locks).inspect().await.unwrap().readers == 1);
    last.release().await.unwrap();
    let writer = soon("the writer", writer).await.unwrap().unwrap();
    assert!(!late.is_finished() && rw(&locks).inspect().await.unwrap().writing);
    writer.release().await.unwrap();
    assert!(soon("the reader", late).await.unwrap().is_ok());
}

async fn readers_behind_a_writer_come_in_together(backend: &Backend) {
    let locks = manager(backend);
    let writer = rw(&locks).write(LONG).await.unwrap();
    let mut waiters = Vec::new();
    for _ in 0..4 {
        waiters.push(reader_in_line(backend).await);
    }
    let next = writer_in_line(backend).await;
    let behind = reader_in_line(backend).await;
    writer.release().await.unwrap();
    // All of them within the release, before any of them can have asked.
    assert_eq!(rw(&locks).inspect().await.unwrap().readers, 4);
    let mut readers = Vec::new();
    for waiter in waiters {
        readers.push(soon("a reader", waiter).await.unwrap().unwrap());
    }
    assert!(!next.is_finished() && !behind.is_finished());
    for reader in readers {
        assert_eq!(reader.release().await.unwrap(), Release::Released);
    }
    drop(soon("the next writer", next).await.unwrap().unwrap());
    assert!(soon("the last reader", behind).await.unwrap().is_ok());
}

async fn a_dead_reader_ends_alone(backend: &Backend) {
    let locks = manager(backend);
    let alive = rw(&locks).read(LONG).await.unwrap();
    mem::forget(rw(&dying(backend)).try_read().await.unwrap().unwrap());
    mem::forget(rw(&dying(backend)).try_read().await.unwrap().unwrap());
    assert_eq!(rw(&locks).inspect().await.unwrap().readers, 3);
    backend.pass(Duration::from_millis(305)).await;
    eventually("one is left", || async { rw(&locks).inspect().await.unwrap().readers == 1 }).await;
    assert!(rw(&locks).try_write().await.unwrap().is_none(), "one still reads");
    assert!(matches!(backend.store.ttl("lock:{job}:rw").await.unwrap(), Ttl::Remaining(_)));
    assert_eq!(alive.release().await.unwrap(), Release::Released);
    assert!(rw(&locks).try_write().await.unwrap().is_some());
}

async fn a_dead_writer_lets_everybody_in(backend: &Backend) {
    mem::forget(rw(&dying(backend)).try_write().await.unwrap().unwrap());
    let (one, two) = (reader_in_line(backend).await, reader_in_line(backend).await);
    backend.pass(Duration::from_millis(305)).await;
    let (one, two) = (soon("one", one).await.unwrap().unwrap(), soon("the other", two).await.unwrap().unwrap());
    assert!(one.is_valid() && two.is_valid());
}

async fn every_holder_has_a_larger_number(backend: &Backend) {
    let mut last = 0;
    for round in 0..5 {
        let locks = manager(backend);
        let (one, two) = (rw(&locks).read(LONG).await.unwrap(), rw(&locks).read(LONG).await.unwrap());
        let (first, second) = (one.fencing_token(), two.fencing_token());
        one.release().await.unwrap();
        two.release().await.unwrap();
        let writer = rw(&locks).write(LONG).await.unwrap();
        assert!(last < first && first < second && second < writer.fencing_token());
        last = writer.fencing_token();
        let next = reader_in_line(backend).await;
        writer.release().await.unwrap();
        let next = next.await.unwrap().unwrap();
        assert!(last < next.fencing_token());
        last = next.fencing_token();
        next.release().await.unwrap();
        if round % 2 == 1 {
            // A lost counter begins anew beyond all before.
            backend.store.delete(&["lock:{job}:rw-fence"]).await.unwrap();
        }
    }
    assert_eq!(backend.store.ttl("lock:{job}:rw-fence").await.unwrap(), Ttl::Unlimited);
}

async fn writers_never_overlap_with_anybody(backend: &Backend) {
    let inside = Arc::new(AtomicI64::new(0));
    let tasks = (0..6).map(|number| {
        let (lock, inside) = (rw(&manager(backend)), inside.clone());
        tokio::spawn(async move {
            for round in 0..4 {
                if (number + round) % 3 == 0 {
                    let guard = lock.write(Duration::from_secs(30)).await.unwrap();
                    assert_eq!(inside.fetch_sub(1000, Ordering::SeqCst), 0, "a writer is alone");
                    tokio::task::yield_now().await;
                    inside.fetch_add(1000, Ordering::SeqCst);
                    assert_eq!(guard.release().await.unwrap(), Release::Released);
                } else {
                    let guard = lock.read(Duration::from_secs(30)).await.unwrap();
                    assert!(inside.fetch_add(1, Ordering::SeqCst) >= 0, "nobody writes");
                    tokio::task::yield_now().await;
                    inside.fetch_sub(1, Ordering::SeqCst);
                    assert_eq!(guard.release().await.unwrap(), Release::Released);
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

async fn something_else_under_the_keys_lets_nobody_in(backend: &Backend) {
    let locks = manager(backend);
    let (room, fence, line) = ("lock:{job}:rw", "lock:{job}:rw-fence", "lock:{job}:rw-line");
    let guard = rw(&locks).read(LONG).await.unwrap();
    for garbage in [true, false] {
        backend.store.delete(&[room]).await.unwrap();
        match garbage {
            true => drop(backend.store.set(room, b"garbage", SetOptions::default()).await.unwrap()),
            false => backend.put_other_type(room).await,
        }
        assert!(rw(&locks).try_read().await.unwrap().is_none());
        assert!(rw(&locks).try_write().await.unwrap().is_none());
        assert!(matches!(rw(&locks).read(Duration::from_millis(20)).await, Err(LockError::Timeout)));
        assert!(rw(&locks).inspect().await.unwrap().writing, "it may be anything");
    }
    assert_eq!(guard.release().await.unwrap(), Release::Stolen);
    backend.store.delete(&[room]).await.unwrap();

    let refused = async |locks: &LockManager, kind| {
        for error in [rw(locks).try_read().await.unwrap_err(), rw(locks).write(LONG).await.unwrap_err()] {
            assert!(matches!(&error, LockError::Store(error) if error.kind() == kind), "{error}");
        }
        assert!(!backend.store.exists(room).await.unwrap());
    };
    backend.put_other_type(line).await;
    refused(&locks, ErrorKind::WrongType).await;
    backend.store.delete(&[line]).await.unwrap();
    for damage in ["garbage", "-5", "0", "9007199254740991", "9223372036854775807", "hash"] {
        backend.store.delete(&[fence]).await.unwrap();
        match damage {
            "hash" => backend.put_other_type(fence).await,
            _ => drop(backend.store.set(fence, damage.as_bytes(), SetOptions::default()).await.unwrap()),
        }
        refused(&locks, ErrorKind::Corrupt).await;
    }
}

async fn the_lock_of_the_same_name_is_another(backend: &Backend) {
    let locks = manager(backend);
    let _lock = locks.acquire("job", LONG).await.unwrap();
    let _permit = locks.semaphore("job", 1).unwrap().acquire(LONG).await.unwrap();
    let _writer = rw(&locks).write(LONG).await.unwrap();
    assert!(rw(&locks).try_read().await.unwrap().is_none());
    let error = locks.rw_lock("").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    for name in ["a}", "}{", "a:rw", "ü b\n"] {
        let lock = locks.rw_lock(name).unwrap();
        let _guard = lock.write(LONG).await.unwrap();
        assert!(lock.try_read().await.unwrap().is_none());
    }
}

async fn a_dropped_guard_leaves(backend: &Backend) {
    let locks = manager(backend);
    drop(rw(&locks).read(LONG).await.unwrap());
    let elsewhere = rw(&locks).read(LONG).await.unwrap();
    std::thread::spawn(move || drop(elsewhere)).join().unwrap();
    let lock = &rw(&locks);
    eventually("nobody reads", || async move { lock.try_write().await.unwrap().is_some() }).await;
}
