use super::{
    Failure, Room,
    check::{ensure, for_a_minute, same, soon},
};
use crate::{Cursor, Page};
use std::collections::BTreeSet;

/// Walks over all keys with a prefix.
async fn walk(room: &Room, prefix: &str, count: u32) -> Result<BTreeSet<String>, Failure> {
    let walking = async {
        let (mut seen, mut cursor) = (BTreeSet::new(), Cursor::start());
        loop {
            let Page { keys, next } = room.scan()?.scan_page(prefix, &cursor, count).await?;
            if let Some(other) = keys.iter().find(|key| !key.starts_with(prefix)) {
                return Err(Failure::new(format!("a scan of {prefix:?} shows {other:?}")));
            }
            seen.extend(keys);
            match next {
                None => return Ok(seen),
                Some(next) => cursor = next,
            }
        }
    };
    soon("the last page of a scan", walking).await?
}

/// Writes so many keys of different hash slots, with one prefix.
async fn fill(room: &Room, name: &str, count: usize) -> Result<(String, BTreeSet<String>), Failure> {
    let prefix = room.key(name);
    let keys: BTreeSet<String> = (0..count).map(|at| room.key(&format!("{name}{at}"))).collect();
    for key in &keys {
        room.store().set(key, b"1", for_a_minute()).await?;
    }
    Ok((prefix, keys))
}

/// Keys of one prefix are seen, all of them, whatever the size of a page, and the walk has an end.
pub async fn a_scan_sees_every_key_and_ends(room: &Room) -> Result<(), Failure> {
    let (prefix, keys) = fill(room, "many", 300).await?;
    for count in [50, 1000] {
        same!("keys of a scan", walk(room, &prefix, count).await?, keys);
    }
    same!("keys of a prefix that nothing has", walk(room, &room.key("none"), 1000).await?, BTreeSet::new());
    // The keys of other hash slots are found, too.
    let spread = room.spread(20);
    for key in &spread {
        room.store().set(key, b"1", for_a_minute()).await?;
    }
    for key in &spread {
        ensure!(walk(room, key, 1000).await?.contains(key), "a scan misses a key of another slot");
    }
    Ok(())
}

/// What is there from the first page to the last is seen, whatever else is written and deleted meanwhile.
pub async fn a_scan_sees_what_stays_while_others_come_and_go(room: &Room) -> Result<(), Failure> {
    let (prefix, keys) = fill(room, "stays", 100).await?;
    let (_, passing) = fill(room, "passing", 200).await?;
    let (mut seen, mut cursor, mut passing) = (BTreeSet::new(), Cursor::start(), passing.into_iter());
    loop {
        let page = soon("a page", room.scan()?.scan_page(&prefix, &cursor, 10)).await??;
        seen.extend(page.keys);
        for key in passing.by_ref().take(10) {
            room.store().delete(&[&key]).await?;
        }
        match page.next {
            None => break,
            Some(next) => cursor = next,
        }
    }
    same!("keys of a scan while others go", seen, keys);
    Ok(())
}

/// A prefix is text: the letters of a pattern stand for themselves.
pub async fn a_prefix_is_literal(room: &Room) -> Result<(), Failure> {
    let prefixes = ["*", "?", "[a-z]", "[^a]", "a\\", "{x}"];
    for prefix in prefixes {
        let (with, without) = (room.key(&format!("{prefix}end")), room.key("abend"));
        room.store().set(&with, b"1", for_a_minute()).await?;
        room.store().set(&without, b"1", for_a_minute()).await?;
        same!(
            "keys of a prefix with letters of a pattern",
            walk(room, &room.key(prefix), 1000).await?,
            BTreeSet::from([with])
        );
    }
    Ok(())
}

/// Without a prefix every key is shown, of any type.
pub async fn an_empty_prefix_is_every_key(room: &Room) -> Result<(), Failure> {
    let (_, mut keys) = fill(room, "some", 5).await?;
    if room.store().scripts().is_some() || room.store().blocking().is_some() {
        keys.insert(room.other_type("other").await?);
    }
    let seen = walk(room, "", 1000).await?;
    ensure!(keys.is_subset(&seen), "{} of {} keys are not seen", keys.difference(&seen).count(), keys.len());
    Ok(())
}
