//! A lock that goes to another process, is looked at, taken by force, or shared with other libraries.

use crate::backend::{Backend, on_every_backend};
use kv_core::{Condition, KvStore, SetOptions};
use redis_lock::{KeyStyle, LockError, LockManager, LockOptions, LockParts, Release, TryAcquire};
use std::time::Duration;

on_every_backend!(
    a_lock_goes_on_in_another_process,
    a_lock_is_looked_at_without_harm,
    a_lock_is_taken_by_force,
    locks_of_other_libraries_exclude_ours_and_ours_theirs,
    a_lost_counter_begins_anew_and_larger,
);

const LONG: Duration = Duration::from_secs(8);

fn manager(backend: &Backend) -> LockManager {
    LockManager::new(backend.store.clone(), LockOptions::default()).unwrap()
}

async fn a_lock_goes_on_in_another_process(backend: &Backend) {
    let guard = manager(backend).acquire("job", LONG).await.unwrap();
    let fence = guard.fencing_token();
    let parts = guard.into_parts();
    assert!(!format!("{parts:?}").contains(&parts.token), "a token is never shown");
    let locks = manager(backend);
    assert!(matches!(locks.try_acquire("job").await.unwrap(), TryAcquire::Held { .. }));
    let guard = locks.from_parts("job", parts.clone()).await.unwrap();
    assert_eq!(guard.fencing_token(), fence);
    assert!(guard.remaining() > Duration::from_secs(5));
    assert_eq!(guard.release().await.unwrap(), Release::Released);
    assert!(matches!(locks.from_parts("job", parts).await, Err(LockError::Lost)));
    let foreign = LockParts::new("somebody", 7);
    let _other = locks.acquire("job", LONG).await.unwrap();
    assert!(matches!(locks.from_parts("job", foreign).await, Err(LockError::Lost)));
}

async fn a_lock_is_looked_at_without_harm(backend: &Backend) {
    let options = LockOptions::default().label("worker-3");
    let locks = LockManager::new(backend.store.clone(), options).unwrap();
    let nothing = locks.inspect("job").await.unwrap();
    assert!(!nothing.held && nothing.label.is_none() && nothing.remaining.is_none() && nothing.waiting == 0);
    assert_eq!(nothing.last_fencing_token, None);
    let guard = locks.acquire("job", LONG).await.unwrap();
    let state = locks.inspect("job").await.unwrap();
    assert!(state.held && state.remaining.unwrap() > Duration::from_secs(5));
    assert_eq!(state.label.as_deref(), Some("worker-3"));
    assert_eq!(state.last_fencing_token, Some(guard.fencing_token()));
    backend.put_other_type("lock:{hash}").await;
    let state = locks.inspect("hash").await.unwrap();
    assert!(state.held && state.label.is_none() && state.remaining.is_none());
}

async fn a_lock_is_taken_by_force(backend: &Backend) {
    let locks = manager(backend);
    assert!(!locks.force_unlock("job").await.unwrap());
    let guard = locks.acquire("job", LONG).await.unwrap();
    assert!(locks.force_unlock("job").await.unwrap());
    let next = locks.try_acquire("job").await.unwrap().acquired().unwrap();
    assert!(next.fencing_token() > guard.fencing_token());
    assert_eq!(guard.release().await.unwrap(), Release::Stolen);
    backend.put_other_type("lock:{hash}").await;
    assert!(locks.force_unlock("hash").await.unwrap());
    assert!(locks.try_acquire("hash").await.unwrap().acquired().is_some());
}

async fn locks_of_other_libraries_exclude_ours_and_ours_theirs(backend: &Backend) {
    for (style, prefix, key) in [
        (KeyStyle::Verbatim, "unused", "{job}"),
        (KeyStyle::Prefix, "redlock:", "redlock:{job}"),
        (KeyStyle::Spring, "registry", "registry:{job}"),
    ] {
        let options = LockOptions::default().key_style(style).prefix(prefix);
        let locks = LockManager::new(backend.store.clone(), options).unwrap();
        let theirs = SetOptions::default().condition(Condition::IfAbsent).ttl(Duration::from_secs(9));
        assert!(backend.store.set(key, b"somebody", theirs).await.unwrap());
        let TryAcquire::Held { remaining: Some(remaining) } = locks.try_acquire("{job}").await.unwrap() else {
            panic!("must be held")
        };
        assert!(remaining > Duration::from_secs(5) && remaining <= Duration::from_secs(9));
        backend.store.delete(&[key]).await.unwrap();
        let guard = locks.acquire("{job}", LONG).await.unwrap();
        assert!(!backend.store.set(key, b"somebody", theirs).await.unwrap());
        let token = backend.store.get(key).await.unwrap().unwrap();
        assert!(token.len() == 33 && token.is_ascii());
        guard.release().await.unwrap();
        assert!(!backend.store.exists(key).await.unwrap());
    }
}

async fn a_lost_counter_begins_anew_and_larger(backend: &Backend) {
    let locks = manager(backend);
    let mut last = 0;
    for _ in 0..3 {
        let guard = locks.acquire("job", LONG).await.unwrap();
        assert!(guard.fencing_token() > last);
        last = guard.fencing_token();
        backend.store.delete(&["lock:{job}:fence"]).await.unwrap();
        guard.release().await.unwrap();
    }
}
