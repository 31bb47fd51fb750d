use super::{
    Failure, Room,
    check::{MINUTE, for_a_minute, refused, same},
};
use crate::{ErrorKind::InvalidInput, KvStore, Limits, SetOptions};
use std::time::Duration;

/// No method takes an empty key, alone or among others.
pub async fn empty_keys_are_refused(room: &Room) -> Result<(), Failure> {
    let (store, key) = (room.store(), room.key("value"));
    refused("get of an empty key", store.get("").await, InvalidInput)?;
    refused("get_range of an empty key", store.get_range("", 0, 1).await, InvalidInput)?;
    refused("set of an empty key", store.set("", b"1", for_a_minute()).await, InvalidInput)?;
    refused("delete of an empty key", store.delete(&[&key, ""]).await, InvalidInput)?;
    refused("exists of an empty key", store.exists("").await, InvalidInput)?;
    refused("ttl of an empty key", store.ttl("").await, InvalidInput)?;
    refused("expire of an empty key", store.expire("", MINUTE).await, InvalidInput)?;
    refused("incr_by of an empty key", store.incr_by("", 1).await, InvalidInput)?;
    refused("mget of an empty key", store.mget(&[&key, ""]).await, InvalidInput)?;
    refused("mset of an empty key", store.mset(&[(&key, b"1"), ("", b"1")], Some(MINUTE)).await, InvalidInput)
}

/// A TTL of nothing is no TTL that anybody means.
pub async fn zero_ttls_are_refused(room: &Room) -> Result<(), Failure> {
    refuse_ttl(room, "ttl of zero", Duration::ZERO).await
}

/// A TTL that would overflow a time is refused, and not cut.
pub async fn endless_ttls_are_refused(room: &Room) -> Result<(), Failure> {
    let beyond = Duration::from_millis(Limits::MAX_TTL_MILLIS) + Duration::from_nanos(1);
    refuse_ttl(room, "ttl beyond the longest", beyond).await?;
    refuse_ttl(room, "ttl of Duration::MAX", Duration::MAX).await
}

/// Checks that no method takes this TTL, and that the value stays as it was.
async fn refuse_ttl(room: &Room, what: &str, ttl: Duration) -> Result<(), Failure> {
    let (store, key) = (room.store(), room.key("value"));
    store.set(&key, b"old", for_a_minute()).await?;
    let before = store.ttl(&key).await?;
    let options = SetOptions::default().ttl(ttl);
    refused(&format!("set with a {what}"), store.set(&key, b"new", options).await, InvalidInput)?;
    refused(&format!("mset with a {what}"), store.mset(&[(&key, b"new")], Some(ttl)).await, InvalidInput)?;
    refused(&format!("expire with a {what}"), store.expire(&key, ttl).await, InvalidInput)?;
    room.holds(&key, Some(b"old")).await?;
    unharmed(store, &key, before).await
}

async fn unharmed(store: &dyn KvStore, key: &str, before: crate::Ttl) -> Result<(), Failure> {
    use crate::Ttl::Remaining;
    let after = store.ttl(key).await?;
    match (before, after) {
        (Remaining(before), Remaining(after)) if after <= before => Ok(()),
        _ => Err(Failure::new(format!("a refused call changes the ttl from {before:?} to {after:?}"))),
    }
}

/// One entry that is refused is all of the batch refused.
pub async fn a_refused_batch_does_nothing(room: &Room) -> Result<(), Failure> {
    let (store, keys) = (room.store(), room.spread(3));
    let entries: Vec<(&str, &[u8])> =
        keys.iter().map(|key| (key.as_str(), &b"1"[..])).chain([("", &b"1"[..])]).collect();
    for ttl in [Some(MINUTE), None] {
        refused("mset with an empty key", store.mset(&entries, ttl).await, InvalidInput)?;
        for key in &keys {
            room.holds(key, None).await?;
        }
    }
    store.set(&keys[0], b"1", for_a_minute()).await?;
    refused("delete with an empty key", store.delete(&[&keys[0], ""]).await, InvalidInput)?;
    room.holds(&keys[0], Some(b"1")).await
}

/// A value of one byte more than [`Limits::max_value_bytes`] is refused, in a batch too, and one less is not.
pub async fn oversized_values_are_refused(room: &Room) -> Result<(), Failure> {
    let (store, key, other) = (room.store(), room.key("value"), room.key("other"));
    let mut value = vec![b'x'; store.capabilities().limits.max_value_bytes];
    same!("set of the largest value", store.set(&key, &value, for_a_minute()).await?, true);
    value.push(b'x');
    refused("set of an oversized value", store.set(&key, &value, for_a_minute()).await, InvalidInput)?;
    let entries: [(&str, &[u8]); 2] = [(&other, b""), (&key, &value)];
    refused("mset of an oversized value", store.mset(&entries, Some(MINUTE)).await, InvalidInput)?;
    value.pop();
    room.holds(&key, Some(&value)).await?;
    room.holds(&other, None).await
}

/// A key of one byte more than [`Limits::max_key_bytes`] is refused, and one of that length is not.
pub async fn oversized_keys_are_refused(room: &Room) -> Result<(), Failure> {
    let (store, limit) = (room.store(), room.store().capabilities().limits.max_key_bytes);
    let stem = room.key("");
    let Some(rest) = limit.checked_sub(stem.len()) else {
        return Err(Failure::new(format!("keys of {} bytes do not fit a limit of {limit}", stem.len())));
    };
    let (longest, beyond) = (room.key(&"k".repeat(rest)), format!("{stem}{}", "k".repeat(rest + 1)));
    same!("set of the longest key", store.set(&longest, b"1", for_a_minute()).await?, true);
    room.holds(&longest, Some(b"1")).await?;
    refused("get of an oversized key", store.get(&beyond).await, InvalidInput)?;
    refused("set of an oversized key", store.set(&beyond, b"1", for_a_minute()).await, InvalidInput)?;
    refused("delete of an oversized key", store.delete(&[&beyond]).await, InvalidInput)?;
    refused("mget of an oversized key", store.mget(&[&beyond]).await, InvalidInput)?;
    refused("mset of an oversized key", store.mset(&[(&beyond, b"1")], Some(MINUTE)).await, InvalidInput)
}
