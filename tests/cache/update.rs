//! Writers that keep readers waiting.

use super::{Database, cache, with};
use crate::backend::{Backend, eventually, on_every_backend};
use redis_cache::{Cache, CacheError, CacheOptions, Lookup};
use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Notify, oneshot};

on_every_backend!(
    readers_wait_for_a_writer_and_load_then,
    what_is_written_through_is_read_without_a_load,
    a_load_from_before_an_update_is_not_stored,
    writers_come_one_after_the_other,
    a_writer_goes_on_without_its_caller,
    an_update_that_fails_lets_readers_load,
    an_update_that_lost_its_lease_invalidates,
    what_is_loaded_while_replicas_lag_is_not_stored,
);

/// A row of a database.
type Row = Arc<Mutex<&'static str>>;

async fn read(cache: &Cache<String>, row: &Row) -> String {
    let row = row.clone();
    let load = || async move { Ok::<_, io::Error>(Some((*row.lock().unwrap()).to_owned())) };
    (*cache.get_or_load("k", load).await.unwrap().unwrap()).clone()
}

fn hit(value: &str) -> Lookup<String> {
    Lookup::Hit(Arc::new(value.to_owned()))
}

async fn readers_wait_for_a_writer_and_load_then(backend: &Backend) {
    let (ours, theirs, row) = (cache(backend), cache(backend), Row::new(Mutex::new("old")));
    assert_eq!(read(&theirs, &row).await, "old");
    let (began, begun) = oneshot::channel();
    let gate = Arc::new(Notify::new());
    let update = tokio::spawn({
        let (ours, row, gate) = (ours.clone(), row.clone(), gate.clone());
        async move {
            let write = || async move {
                began.send(()).unwrap();
                gate.notified().await;
                *row.lock().unwrap() = "new";
                Ok::<_, io::Error>(42)
            };
            ours.update("k", write).await
        }
    });
    begun.await.unwrap();
    for cache in [&ours, &theirs] {
        assert_eq!(cache.get("k").await.unwrap(), Lookup::Miss, "what was there before is not served");
    }
    let readers: Vec<_> = [&ours, &theirs]
        .map(|cache| {
            let (cache, row) = (cache.clone(), row.clone());
            tokio::spawn(async move { read(&cache, &row).await })
        })
        .into();
    eventually("a reader waits", || async {
        backend.store.get("cache:{k}:load").await.unwrap().is_some_and(|lease| lease.ends_with(b"w"))
    })
    .await;
    gate.notify_one();
    for reader in readers {
        assert_eq!(reader.await.unwrap(), "new");
    }
    assert_eq!(update.await.unwrap().unwrap(), 42);
    assert_eq!(theirs.get("k").await.unwrap(), hit("new"));
}

async fn what_is_written_through_is_read_without_a_load(backend: &Backend) {
    let (ours, theirs, db) = (cache(backend), cache(backend), Database::default());
    let write = || async { Ok::<_, io::Error>(Some("written".to_owned())) };
    assert_eq!(*ours.write_through("k", write).await.unwrap().unwrap(), "written");
    assert_eq!(*theirs.get_or_load("k", || db.clone().load(Some("v"))).await.unwrap().unwrap(), "written");
    let delete = || async { Ok::<_, io::Error>(None) };
    assert_eq!(ours.write_through("k", delete).await.unwrap(), None);
    assert_eq!((theirs.get("k").await.unwrap(), db.loads()), (Lookup::Null, 0));
}

async fn a_load_from_before_an_update_is_not_stored(backend: &Backend) {
    let (ours, theirs, row) = (cache(backend), cache(backend), Row::new(Mutex::new("old")));
    let (began, begun) = oneshot::channel();
    let gate = Arc::new(Notify::new());
    let slow = tokio::spawn({
        let (theirs, gate) = (theirs.clone(), gate.clone());
        async move {
            let load = || async move {
                began.send(()).unwrap();
                gate.notified().await;
                Ok::<_, io::Error>(Some("old".to_owned()))
            };
            theirs.get_or_load("k", load).await.unwrap()
        }
    });
    begun.await.unwrap();
    let changed = row.clone();
    let write = || async move {
        *changed.lock().unwrap() = "new";
        Ok::<_, io::Error>(())
    };
    ours.update("k", write).await.unwrap();
    gate.notify_one();
    assert_eq!(*slow.await.unwrap().unwrap(), "old", "who asked before may have it");
    assert_eq!(ours.get("k").await.unwrap(), Lookup::Miss);
    assert_eq!(read(&theirs, &row).await, "new");
}

async fn writers_come_one_after_the_other(backend: &Backend) {
    let (inside, done) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let (cache, inside, done) = (cache(backend), inside.clone(), done.clone());
            tokio::spawn(async move {
                let write = || async move {
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    tokio::task::yield_now().await;
                    inside.fetch_sub(1, Ordering::SeqCst);
                    done.fetch_add(1, Ordering::SeqCst);
                    Ok::<_, io::Error>(())
                };
                cache.update("k", write).await
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap().unwrap();
    }
    assert_eq!(done.load(Ordering::SeqCst), 8);
}

async fn a_writer_goes_on_without_its_caller(backend: &Backend) {
    let (cache, row) = (cache(backend), Row::new(Mutex::new("old")));
    let (began, begun) = oneshot::channel();
    let gate = Arc::new(Notify::new());
    let caller = tokio::spawn({
        let (cache, row, gate) = (cache.clone(), row.clone(), gate.clone());
        async move {
            let write = || async move {
                began.send(()).unwrap();
                gate.notified().await;
                *row.lock().unwrap() = "new";
                Ok::<_, io::Error>(Some("new".to_owned()))
            };
            cache.write_through("k", write).await.map(drop)
        }
    });
    begun.await.unwrap();
    caller.abort();
    gate.notify_one();
    eventually("it is stored", || async { cache.get("k").await.unwrap() == hit("new") }).await;
}

async fn an_update_that_fails_lets_readers_load(backend: &Backend) {
    let (cache, row) = (cache(backend), Row::new(Mutex::new("old")));
    let fails = || async { Err::<(), _>(io::Error::other("database is down")) };
    assert!(matches!(cache.update("k", fails).await, Err(CacheError::Load(_))));
    let fails = || async { Err(io::Error::other("database is down")) };
    assert!(matches!(cache.write_through("k", fails).await, Err(CacheError::Load(_))));
    assert_eq!(read(&cache, &row).await, "old");
    assert!(!backend.store.exists("cache:{k}:load").await.unwrap());
}

async fn an_update_that_lost_its_lease_invalidates(backend: &Backend) {
    let (cache, store) = (cache(backend), backend.store.clone());
    let write = || async move {
        // As if it had run out, and a reader had come and loaded.
        store.delete(&["cache:{k}:load"]).await.unwrap();
        store.set("cache:{k}", b"what was there before", Default::default()).await.unwrap();
        Ok::<_, io::Error>(())
    };
    cache.update("k", write).await.unwrap();
    assert!(!backend.store.exists("cache:{k}").await.unwrap());
}

async fn what_is_loaded_while_replicas_lag_is_not_stored(backend: &Backend) {
    let cache = with(backend, CacheOptions::default().replica_lag(Duration::from_millis(300)));
    let db = Database::default();
    cache.invalidate("k").await.unwrap();
    for loads in 1..=2 {
        assert_eq!(*cache.get_or_load("k", || db.clone().load(Some("lags"))).await.unwrap().unwrap(), "lags");
        assert_eq!((cache.get("k").await.unwrap(), db.loads()), (Lookup::Miss, loads));
    }
    backend.pass(Duration::from_millis(305)).await;
    cache.get_or_load("k", || db.clone().load(Some("v"))).await.unwrap();
    assert_eq!(cache.get("k").await.unwrap(), hit("v"));
}
