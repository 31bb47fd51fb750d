use super::{
    Failure, Room,
    check::{MINUTE, PATIENCE, ensure, eventually, for_a_minute, same},
};
use crate::{Condition, KvStore, KvStoreExt, SetOptions, Ttl};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const SHORT: Duration = Duration::from_millis(150);
const HOUR: Duration = Duration::from_secs(3600);

/// Checks that a key has about this long to live.
async fn lives(store: &dyn KvStore, key: &str, ttl: Duration) -> Result<(), Failure> {
    let found = store.ttl(key).await?;
    // A behaviour takes seconds where it was given minutes.
    let about = |left: Duration| left <= ttl && left > ttl / 2;
    ensure!(matches!(found, Ttl::Remaining(left) if about(left)), "ttl: {found:?}, expected about {ttl:?}");
    Ok(())
}

/// The three answers of [`ttl`](KvStore::ttl).
pub async fn ttl_tells_missing_unlimited_and_remaining(room: &Room) -> Result<(), Failure> {
    let (store, key) = (room.store(), room.key("value"));
    same!("ttl of an absent key", store.ttl(&key).await?, Ttl::Missing);
    store.set(&key, b"1", SetOptions::default()).await?;
    same!("ttl of a key without one", store.ttl(&key).await?, Ttl::Unlimited);
    store.set(&key, b"1", for_a_minute()).await?;
    lives(store, &key, MINUTE).await
}

/// The last set decides how long the value lives.
pub async fn a_set_replaces_the_ttl(room: &Room) -> Result<(), Failure> {
    let (store, key) = (room.store(), room.key("value"));
    for ttl in [HOUR, MINUTE, HOUR] {
        store.set_px(&key, b"1", ttl).await?;
        lives(store, &key, ttl).await?;
    }
    Ok(())
}

/// A set without a TTL is for ever, whatever was there.
pub async fn a_plain_set_removes_the_ttl(room: &Room) -> Result<(), Failure> {
    let (store, key) = (room.store(), room.key("value"));
    for condition in [Condition::Always, Condition::IfPresent] {
        store.set_px(&key, b"1", MINUTE).await?;
        store.set(&key, b"2", SetOptions::default().condition(condition)).await?;
        same!("ttl after a plain set", store.ttl(&key).await?, Ttl::Unlimited);
    }
    Ok(())
}

/// A set whose condition does not hold changes nothing.
pub async fn a_set_that_writes_nothing_leaves_the_ttl(room: &Room) -> Result<(), Failure> {
    let (store, key) = (room.store(), room.key("value"));
    store.set_px(&key, b"1", MINUTE).await?;
    same!("set_nx_px of a present key", store.set_nx_px(&key, b"2", HOUR).await?, false);
    lives(store, &key, MINUTE).await?;
    let plain = SetOptions::default().condition(Condition::IfAbsent);
    same!("set if absent, of a present key", store.set(&key, b"2", plain).await?, false);
    lives(store, &key, MINUTE).await
}

/// [`expire`](KvStore::expire) sets the TTL of what is there, says whether it did, and leaves the value.
pub async fn expire_needs_a_key(room: &Room) -> Result<(), Failure> {
    let (store, key) = (room.store(), room.key("value"));
    same!("expire of an absent key", store.expire(&key, MINUTE).await?, false);
    same!("exists after expire of an absent key", store.exists(&key).await?, false);
    store.set(&key, b"1", SetOptions::default()).await?;
    for ttl in [HOUR, MINUTE] {
        same!("expire of a present key", store.expire(&key, ttl).await?, true);
        lives(store, &key, ttl).await?;
    }
    room.holds(&key, Some(b"1")).await
}

/// A key is gone for every method when its time is over, and not before.
pub async fn keys_expire_in_time(room: &Room) -> Result<(), Failure> {
    let store = room.store();
    let (set, batch, late) = (room.key("set"), room.key("batch"), room.key("expire"));
    let later = room.key("later");
    store.set_px(&later, b"1", MINUTE).await?;
    let started = Instant::now();
    store.set_px(&set, b"1", SHORT).await?;
    store.mset(&[(&batch, b"1")], Some(SHORT)).await?;
    store.set(&late, b"1", SetOptions::default()).await?;
    store.expire(&late, SHORT).await?;
    while store.mget(&[&set, &batch, &late]).await?.iter().any(Option::is_some) {
        ensure!(started.elapsed() < PATIENCE, "keys do not expire");
        let early = store.get(&set).await?.is_none();
        // Clocks of servers tick in milliseconds, and not with ours.
        ensure!(!early || started.elapsed() + Duration::from_millis(20) >= SHORT, "a key expires early");
        sleep(Duration::from_millis(10)).await;
    }
    ensure!(started.elapsed() + Duration::from_millis(20) >= SHORT, "keys expire early");
    ensure!(store.exists(&later).await?, "a key of a minute expires at once");
    for key in [&set, &batch, &late] {
        same!("exists of an expired key", store.exists(key).await?, false);
        same!("ttl of an expired key", store.ttl(key).await?, Ttl::Missing);
        same!("expire of an expired key", store.expire(key, MINUTE).await?, false);
    }
    same!("delete of expired keys", store.delete(&[&set, &batch, &late]).await?, 0);
    same!("set_nx_px of an expired key", store.set_nx_px(&set, b"2", MINUTE).await?, true);
    same!("incr_by of an expired key", store.incr_by(&batch, 1).await?, 1);
    Ok(())
}

/// A TTL of less than a millisecond is one of a millisecond, neither none nor for ever.
pub async fn ttls_are_rounded_up(room: &Room) -> Result<(), Failure> {
    let (store, least) = (room.store(), Duration::from_nanos(1));
    let (set, batch, late) = (room.key("set"), room.key("batch"), room.key("expire"));
    store.set(&late, b"1", SetOptions::default()).await?;
    same!("set with a ttl of a nanosecond", store.set(&set, b"1", SetOptions::default().ttl(least)).await?, true);
    store.mset(&[(&batch, b"1")], Some(least)).await?;
    same!("expire with a ttl of a nanosecond", store.expire(&late, least).await?, true);
    let keys = [set.as_str(), &batch, &late];
    eventually("keys of a nanosecond expire", || async { Ok(store.mget(&keys).await?.iter().all(Option::is_none)) })
        .await
}
