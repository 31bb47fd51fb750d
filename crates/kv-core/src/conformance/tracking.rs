use super::{
    Failure, Room,
    check::{MINUTE, PATIENCE, ensure, eventually, for_a_minute, refused, same, soon},
};
use crate::{Condition, End, ErrorKind, Event, KeyChanges, KvStoreExt, SetOptions, Subscription, Tracking};
use std::{collections::BTreeSet, time::Duration};
use tokio::time::timeout;

fn tracking(room: &Room) -> Result<&dyn Tracking, Failure> {
    Ok(room.store().require_tracking("conformance")?)
}

/// The keys that are reported until this one is, past all gaps.
async fn until(changes: &mut KeyChanges, last: &str) -> Result<Vec<String>, Failure> {
    let listening = async {
        let mut seen = Vec::new();
        while seen.last().is_none_or(|key| key != last) {
            match changes.next_event().await {
                Some(Event::Message(key)) => seen.push(key.to_string()),
                Some(Event::Gap) => {}
                None => return Err(Failure::new("a subscription ends though the store is there")),
            }
        }
        Ok(seen)
    };
    timeout(PATIENCE, listening).await.unwrap_or_else(|_| Err(Failure::new("a change is not reported")))
}

/// Checks that a change of this key is reported to those who track it by then.
async fn reports<T, E: Into<Failure>>(
    room: &Room,
    what: &str,
    key: &str,
    change: impl Future<Output = Result<T, E>>,
) -> Result<(), Failure> {
    let mut changes = tracking(room)?.track(&[key]).await?;
    change.await.map_err(Into::into)?;
    until(&mut changes, key).await.map(drop).map_err(|failure| Failure::new(format!("{what}: {failure}")))
}

/// Whatever writes to a key, or takes it away, is a change.
pub async fn every_kind_of_change_is_reported(room: &Room) -> Result<(), Failure> {
    let (store, key, minute) = (room.store(), room.key("key"), for_a_minute());
    reports(room, "set", &key, store.set(&key, b"1", minute)).await?;
    reports(room, "set of the same value", &key, store.set(&key, b"1", minute)).await?;
    reports(room, "set if present", &key, store.set(&key, b"2", minute.condition(Condition::IfPresent))).await?;
    reports(room, "incr_by", &key, store.incr_by(&key, 1)).await?;
    reports(room, "mset", &key, store.mset(&[(&key, b"3")], Some(MINUTE))).await?;
    reports(room, "expire", &key, store.expire(&key, MINUTE)).await?;
    reports(room, "delete", &key, store.delete(&[&key])).await?;
    reports(room, "set if absent", &key, store.set_nx_px(&key, b"4", MINUTE)).await?;
    if store.scripts().is_some() {
        let key = room.key("script");
        reports(room, "a script", &key, room.other_type("script")).await?;
        reports(room, "delete of another type", &key, store.delete(&[&key])).await?;
    }
    if let Some(lists) = store.blocking() {
        let key = room.key("list");
        reports(room, "push", &key, lists.push(&key, End::Back, &[b"1", b"2"])).await?;
        reports(room, "push to a list", &key, lists.push(&key, End::Back, &[b"3"])).await?;
        reports(room, "pop", &key, lists.pop(&[&key], End::Front, Duration::ZERO)).await?;
        reports(room, "move within a list", &key, lists.move_to((&key, End::Front), (&key, End::Back), Duration::ZERO))
            .await?;
        lists.pop(&[&key], End::Front, Duration::ZERO).await?;
        reports(room, "pop of the last", &key, lists.pop(&[&key], End::Front, Duration::ZERO)).await?;
    }
    Ok(())
}

/// Once `track` returns, the very next change is reported.
pub async fn nothing_is_missed_once_tracked(room: &Room) -> Result<(), Failure> {
    for round in 0..20 {
        let key = room.key(&format!("key{round}"));
        reports(room, "the first change", &key, room.store().set(&key, b"1", for_a_minute())).await?;
    }
    Ok(())
}

/// Who only looks, or is refused, has changed nothing.
pub async fn reading_is_no_change(room: &Room) -> Result<(), Failure> {
    let (store, key, absent, last) = (room.store(), room.key("key"), room.key("absent"), room.key("last"));
    store.set(&key, b"1", for_a_minute()).await?;
    let mut changes = tracking(room)?.track(&[&room.key("")]).await?;
    for key in [&key, &absent] {
        store.get(key).await?;
        store.exists(key).await?;
        store.ttl(key).await?;
        store.mget(&[key]).await?;
    }
    store.set_nx_px(&key, b"2", MINUTE).await?;
    store.set(&absent, b"2", for_a_minute().condition(Condition::IfPresent)).await?;
    store.expire(&absent, MINUTE).await?;
    store.delete(&[&absent]).await?;
    store.set(&last, b"1", for_a_minute()).await?;
    same!("keys that are reported", until(&mut changes, &last).await?, [last]);
    Ok(())
}

/// A prefix is text, and no key that begins with another one is reported.
pub async fn only_keys_with_the_prefix_are_reported(room: &Room) -> Result<(), Failure> {
    let store = room.store();
    for prefix in ["*", "?", "[a-z]", "[^a]", "a\\", "{x}"] {
        let [other, with, whole] = ["abend", &format!("{prefix}end"), prefix].map(|name| room.key(name));
        let mut changes = tracking(room)?.track(&[&whole]).await?;
        for key in [&other, &with, &whole] {
            store.set(key, b"1", for_a_minute()).await?;
        }
        same!("keys that are reported", until(&mut changes, &whole).await?, [with, whole]);
    }
    Ok(())
}

/// Prefixes may be named twice, and begin with each other.
pub async fn prefixes_may_overlap(room: &Room) -> Result<(), Failure> {
    let [short, long, other] = ["a", "ab", "c"].map(|name| room.key(name));
    let mut changes = tracking(room)?.track(&[&long, &short, &other, &short]).await?;
    for key in [&short, &long, &other] {
        room.store().set(key, b"1", for_a_minute()).await?;
        until(&mut changes, key).await?;
    }
    Ok(())
}

/// Without a prefix every key is tracked, whoever else writes meanwhile.
pub async fn an_empty_prefix_tracks_every_key(room: &Room) -> Result<(), Failure> {
    let key = &room.key("key");
    let mut changes = tracking(room)?.track(&[""]).await?;
    let changes = tokio::sync::Mutex::new(&mut changes);
    eventually("a change of any key is reported", || async {
        room.store().set(key, b"1", for_a_minute()).await?;
        let mut changes = changes.lock().await;
        Ok(timeout(PATIENCE / 20, until(&mut changes, key)).await.is_ok_and(|reported| reported.is_ok()))
    })
    .await
}

/// Those who track do not take changes from each other, and hear of every hash slot.
pub async fn every_tracker_hears_of_every_change(room: &Room) -> Result<(), Failure> {
    let keys = room.spread(20);
    let prefix = keys.first().and_then(|key| key.split_once('-')).map(|(prefix, _)| prefix).unwrap_or_default();
    let mut trackers = [tracking(room)?.track(&[prefix]).await?, tracking(room)?.track(&[prefix]).await?];
    for key in &keys {
        room.store().set(key, b"1", for_a_minute()).await?;
    }
    for changes in &mut trackers {
        let listening = async {
            let mut missing: BTreeSet<&str> = keys.iter().map(String::as_str).collect();
            while !missing.is_empty() {
                match changes.next_event().await {
                    Some(Event::Message(key)) => drop(missing.remove(&*key)),
                    Some(Event::Gap) => {}
                    None => return Err(Failure::new("a subscription ends though the store is there")),
                }
            }
            Ok(())
        };
        soon("word of each key", listening).await??;
    }
    Ok(())
}

/// Who is too slow hears of every key, or of a gap.
pub async fn a_slow_tracker_is_told_of_its_loss(room: &Room) -> Result<(), Failure> {
    let prefix = room.key("many");
    let mut changes = tracking(room)?.track(&[&prefix]).await?;
    let keys: Vec<String> = (0..Subscription::BUFFER + 100).map(|at| room.key(&format!("many{at}"))).collect();
    for some in keys.chunks(100) {
        let some: Vec<(&str, &[u8])> = some.iter().map(|key| (key.as_str(), &b"1"[..])).collect();
        room.store().mset(&some, Some(MINUTE)).await?;
    }
    let mut missing: BTreeSet<&str> = keys.iter().map(String::as_str).collect();
    while !missing.is_empty() {
        match timeout(PATIENCE, changes.next_event()).await {
            Ok(Some(Event::Gap)) => return Ok(()),
            Ok(Some(Event::Message(key))) => drop(missing.remove(&*key)),
            Ok(None) => return Err(Failure::new("a subscription ends though the store is there")),
            Err(_) => return Err(Failure::new(format!("{} changes are lost in silence", missing.len()))),
        }
    }
    Ok(())
}

/// A key that expired is reported once somebody finds it gone, if not before.
pub async fn an_expiry_is_reported_once_it_is_found(room: &Room) -> Result<(), Failure> {
    let (store, key) = (room.store(), room.key("key"));
    let mut changes = tracking(room)?.track(&[&key]).await?;
    store.set(&key, b"1", SetOptions::default().ttl(Duration::from_millis(50))).await?;
    until(&mut changes, &key).await?;
    eventually("the key expires", || async { Ok(!store.exists(&key).await?) }).await?;
    until(&mut changes, &key).await.map(drop).map_err(|_| Failure::new("an expiry is not reported"))
}

/// Whoever names no prefix at all tracks nothing, which cannot be meant.
pub async fn tracking_nothing_is_refused(room: &Room) -> Result<(), Failure> {
    refused("track without a prefix", tracking(room)?.track(&[]).await, ErrorKind::InvalidInput)?;
    ensure!(tracking(room)?.track(&[&room.key("a")]).await.is_ok(), "a prefix is refused");
    Ok(())
}
