//! More loads than the database should bear.

use super::{Database, with};
use crate::backend::{Backend, eventually, on_every_backend};
use redis_cache::{CacheError, CacheOptions};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::Semaphore;

on_every_backend!(no_more_loads_run_than_may, those_beyond_the_queue_are_told_or_served_stale);

async fn no_more_loads_run_than_may(backend: &Backend) {
    let cache = with(backend, CacheOptions::default().max_loads(3));
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let callers: Vec<_> = (0..60)
        .map(|key: usize| {
            let (cache, running, most) = (cache.clone(), running.clone(), most.clone());
            tokio::spawn(async move {
                let load = || async move {
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    running.fetch_sub(1, Ordering::SeqCst);
                    Ok::<_, io::Error>(Some(key.to_string()))
                };
                assert_eq!(*cache.get_or_load(&key.to_string(), load).await.unwrap().unwrap(), key.to_string());
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!((most.load(Ordering::SeqCst), cache.stats().loads), (3, 60));
}

async fn those_beyond_the_queue_are_told_or_served_stale(backend: &Backend) {
    let ttl = Duration::from_millis(50);
    let options = CacheOptions::default().max_loads(1).max_queued_loads(1).ttl(ttl).ttl_jitter(0.0).early_refresh(0.0);
    let options = options.stale_if_error(Duration::from_secs(60));
    let (db, gate) = (Database::default(), Arc::new(Semaphore::new(0)));
    with(backend, options.clone()).get_or_load("known", || db.clone().load(Some("old"))).await.unwrap();
    backend.pass(ttl * 2).await;
    let cache = with(backend, options);
    let callers: Vec<_> = ["first", "second"]
        .map(|key| {
            let (cache, gate) = (cache.clone(), gate.clone());
            tokio::spawn(async move {
                let load = || async move {
                    gate.acquire().await.unwrap().forget();
                    Ok::<_, io::Error>(Some("v".to_owned()))
                };
                cache.get_or_load(key, load).await.unwrap()
            })
        })
        .into();
    eventually("one runs and one waits", || async {
        format!("{cache:?}").contains("running: 1") && format!("{cache:?}").contains("queued: 1")
    })
    .await;
    let error = cache.get_or_load("third", || db.clone().load(Some("v"))).await.unwrap_err();
    assert!(matches!(error, CacheError::Overloaded) && error.is_temporary());
    assert_eq!(*cache.get_or_load("known", || db.clone().load(Some("new"))).await.unwrap().unwrap(), "old");
    gate.add_permits(2);
    for caller in callers {
        assert_eq!(*caller.await.unwrap().unwrap(), "v");
    }
    assert_eq!(db.loads(), 1);
}
