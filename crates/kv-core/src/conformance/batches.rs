use super::{
    Failure, Room,
    check::{MINUTE, ensure, for_a_minute, same},
};
use crate::Ttl;
use std::time::Duration;
use tokio::task::yield_now;

fn borrow(keys: &[String]) -> Vec<&str> {
    keys.iter().map(String::as_str).collect()
}

/// The answer has a place for every key asked for, in any hash slot.
pub async fn mget_keeps_order_and_duplicates(room: &Room) -> Result<(), Failure> {
    let (store, keys) = (room.store(), room.spread(20));
    for (at, key) in keys.iter().enumerate().skip(1) {
        store.set(key, at.to_string().as_bytes(), for_a_minute()).await?;
    }
    let mut asked: Vec<usize> = (0..20).rev().collect();
    asked.extend([3, 0, 3]);
    let names: Vec<&str> = asked.iter().map(|at| keys[*at].as_str()).collect();
    let found = store.mget(&names).await?;
    same!("count of values", found.len(), names.len());
    for (at, value) in asked.iter().zip(&found) {
        let expected = (*at != 0).then(|| at.to_string());
        same!("value of mget", value.as_deref(), expected.as_deref().map(str::as_bytes));
    }
    Ok(())
}

/// All entries are written, whatever hash slots they have, over what was there.
pub async fn mset_writes_all(room: &Room) -> Result<(), Failure> {
    let (store, keys) = (room.store(), room.spread(20));
    let long = room.long_value();
    store.set(&keys[0], b"old", for_a_minute()).await?;
    let values: Vec<&[u8]> = (0..20).map(|at| [&b"x"[..], b"", b"\x00\xff", &long][at % 4]).collect();
    let entries: Vec<(&str, &[u8])> = keys.iter().map(String::as_str).zip(values.iter().copied()).collect();
    for ttl in [Some(MINUTE), None] {
        store.mset(&entries, ttl).await?;
        for (key, value) in &entries {
            room.holds(key, Some(value)).await?;
        }
        store.delete(&borrow(&keys)).await?;
    }
    Ok(())
}

/// The last value of a key that is named twice is the one that stays.
pub async fn mset_takes_the_last_of_duplicates(room: &Room) -> Result<(), Failure> {
    let (store, a, b) = (room.store(), room.key("a"), room.key("b"));
    for ttl in [Some(MINUTE), None] {
        store.mset(&[(&a, b"1"), (&b, b"2"), (&a, b"3")], ttl).await?;
        room.holds(&a, Some(b"3")).await?;
        room.holds(&b, Some(b"2")).await?;
    }
    Ok(())
}

/// Every entry gets the TTL, or loses the one it had.
pub async fn mset_sets_and_removes_the_ttl(room: &Room) -> Result<(), Failure> {
    let (store, keys) = (room.store(), room.spread(6));
    let entries: Vec<(&str, &[u8])> = keys.iter().map(|key| (key.as_str(), &b"1"[..])).collect();
    store.mset(&entries, Some(MINUTE)).await?;
    for key in &keys {
        let ttl = store.ttl(key).await?;
        let about = |left: Duration| left <= MINUTE && left > MINUTE / 2;
        ensure!(matches!(ttl, Ttl::Remaining(left) if about(left)), "ttl after mset: {ttl:?}, expected a minute");
    }
    store.mset(&entries, None).await?;
    for key in &keys {
        same!("ttl after a plain mset", store.ttl(key).await?, Ttl::Unlimited);
    }
    Ok(())
}

/// Nobody sees some entries of one hash slot written and others not.
pub async fn mset_of_one_slot_is_atomic(room: &Room) -> Result<(), Failure> {
    const ROUNDS: u32 = 60;
    let (a, b) = (room.key("a"), room.key("b"));
    room.store().mset(&[(&a, b"0"), (&b, b"0")], Some(MINUTE)).await?;
    let writing = tokio::spawn({
        let (store, a, b) = (room.shared(), a.clone(), b.clone());
        async move {
            for round in 1..=ROUNDS {
                let text = round.to_string();
                store.mset(&[(&a, text.as_bytes()), (&b, text.as_bytes())], Some(MINUTE)).await?;
                yield_now().await;
            }
            Ok::<(), Failure>(())
        }
    });
    // What is read second is never older than what is read first: whichever of the two is written first shows.
    let mut swapped = false;
    while !writing.is_finished() {
        let (first, second) = if swapped { (&b, &a) } else { (&a, &b) };
        let (first, second) = (round_of(room, first).await?, round_of(room, second).await?);
        ensure!(second >= first, "a batch is seen half written: round {second} after round {first}");
        swapped = !swapped;
        yield_now().await;
    }
    writing.await.unwrap_or_else(|_| Err(Failure::new("mset panics")))
}

async fn round_of(room: &Room, key: &str) -> Result<u32, Failure> {
    let value = room.store().get(key).await?;
    let text = value.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok());
    text.and_then(|text| text.parse().ok()).ok_or_else(|| Failure::new("a batch is not seen at all"))
}

/// Nothing to do is no error.
pub async fn empty_batches_do_nothing(room: &Room) -> Result<(), Failure> {
    let store = room.store();
    same!("delete of no keys", store.delete(&[]).await?, 0);
    same!("count of values of mget without keys", store.mget(&[]).await?.len(), 0);
    store.mset(&[], Some(MINUTE)).await?;
    store.mset(&[], None).await?;
    Ok(())
}
