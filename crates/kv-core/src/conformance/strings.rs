use super::{
    Failure, Room,
    check::{MINUTE, ensure, for_a_minute, refused, same},
};
use crate::{Condition, ErrorKind, KvStoreExt, Ttl};

/// Values are bytes: none, some, many, and those that mean something elsewhere.
pub async fn values_come_back_byte_for_byte(room: &Room) -> Result<(), Failure> {
    let key = room.key("value");
    let all: Vec<u8> = (0..=u8::MAX).collect();
    let long = room.long_value();
    for value in [&b"plain"[..], b"", b"\x00\xff\r\n$5\r\n", b"\xf8KZ", b"\xf8KZ\x00x", &all, &long] {
        ensure!(room.store().set(&key, value, for_a_minute()).await?, "an unconditional set says it wrote nothing");
        room.holds(&key, Some(value)).await?;
    }
    Ok(())
}

/// What was never written is absent for every method.
pub async fn absent_keys_have_nothing(room: &Room) -> Result<(), Failure> {
    let (store, key) = (room.store(), room.key("absent"));
    room.holds(&key, None).await?;
    same!("exists of an absent key", store.exists(&key).await?, false);
    same!("ttl of an absent key", store.ttl(&key).await?, Ttl::Missing);
    same!("mget of an absent key", store.mget(&[&key]).await?, [None]);
    same!("delete of an absent key", store.delete(&[&key]).await?, 0);
    Ok(())
}

/// Keys are told apart by each of their bytes.
pub async fn keys_may_hold_any_text(room: &Room) -> Result<(), Failure> {
    let store = room.store();
    let names = ["a", "A", "a ", " a", "ümlaut", "line\r\nbreak", "nul\0", "{}", "*?[a]\\", "%s", "名前"];
    let keys: Vec<String> = names.iter().map(|name| room.key(name)).collect();
    for (key, name) in keys.iter().zip(names) {
        store.set(key, name.as_bytes(), for_a_minute()).await?;
    }
    for (key, name) in keys.iter().zip(names) {
        room.holds(key, Some(name.as_bytes())).await?;
    }
    Ok(())
}

/// A range is counted in bytes from 0, ends with the value, and has nothing where nothing is.
pub async fn a_part_of_a_value_is_where_it_says(room: &Room) -> Result<(), Failure> {
    let (store, key) = (room.store(), room.key("value"));
    same!("range of an absent key", store.get_range(&key, 0, 10).await?, &b""[..]);
    // No layer finds anything in this to compress.
    store.set(&key, b"\x00123456789", for_a_minute()).await?;
    let far = usize::MAX;
    for (offset, len, part) in [
        (0, 1, &b"\x00"[..]),
        (3, 4, b"3456"),
        (8, 2, b"89"),
        (8, 100, b"89"),
        (0, far, b"\x00123456789"),
        (9, far, b"9"),
        (10, 1, b""),
        (far, far, b""),
        (0, 0, b""),
        (5, 0, b""),
    ] {
        let got = store.get_range(&key, offset, len).await?;
        ensure!(got == part, "{len} bytes from {offset} on: {got:?}, expected {part:?}");
    }
    Ok(())
}

/// [`Condition::IfAbsent`] writes where nothing is, says so, and leaves what is there.
pub async fn set_if_absent_writes_once(room: &Room) -> Result<(), Failure> {
    let (store, key) = (room.store(), room.key("value"));
    let if_absent = for_a_minute().condition(Condition::IfAbsent);
    same!("set if absent, of an absent key", store.set(&key, b"1", if_absent).await?, true);
    same!("set if absent, of a present key", store.set(&key, b"2", if_absent).await?, false);
    same!("set_nx_px of a present key", store.set_nx_px(&key, b"3", MINUTE).await?, false);
    room.holds(&key, Some(b"1")).await
}

/// [`Condition::IfPresent`] replaces what is there, and writes nothing where nothing is.
pub async fn set_if_present_only_replaces(room: &Room) -> Result<(), Failure> {
    let (store, key) = (room.store(), room.key("value"));
    let if_present = for_a_minute().condition(Condition::IfPresent);
    same!("set if present, of an absent key", store.set(&key, b"1", if_present).await?, false);
    room.holds(&key, None).await?;
    store.set(&key, b"2", for_a_minute()).await?;
    same!("set if present, of a present key", store.set(&key, b"3", if_present).await?, true);
    room.holds(&key, Some(b"3")).await
}

/// A key is there from its first write, an empty value included, until it is deleted.
pub async fn exists_tells_presence(room: &Room) -> Result<(), Failure> {
    let (store, key) = (room.store(), room.key("value"));
    same!("exists before the write", store.exists(&key).await?, false);
    store.set(&key, b"", for_a_minute()).await?;
    same!("exists with an empty value", store.exists(&key).await?, true);
    store.delete(&[&key]).await?;
    same!("exists after the delete", store.exists(&key).await?, false);
    Ok(())
}

/// Each key that was there counts once, however often it is named, in any hash slot.
pub async fn delete_counts_what_was_there(room: &Room) -> Result<(), Failure> {
    let (store, keys) = (room.store(), room.spread(8));
    for key in &keys[..6] {
        store.set(key, b"1", for_a_minute()).await?;
    }
    let mut named: Vec<&str> = keys[1..].iter().map(String::as_str).collect();
    named.push(&keys[1]);
    same!("count of deleted keys", store.delete(&named).await?, 5);
    same!("count of keys deleted twice", store.delete(&named).await?, 0);
    room.holds(&keys[1], None).await?;
    room.holds(&keys[0], Some(b"1")).await
}

/// A counter starts at 0, goes both ways, and is decimal text.
pub async fn incr_by_adds(room: &Room) -> Result<(), Failure> {
    let (store, key) = (room.store(), room.key("counter"));
    same!("sum", store.incr_by(&key, 5).await?, 5);
    same!("sum", store.incr_by(&key, -7).await?, -2);
    same!("sum", store.incr_by(&key, 0).await?, -2);
    room.holds(&key, Some(b"-2")).await?;
    store.set(&key, b"9223372036854775806", for_a_minute()).await?;
    same!("the largest sum", store.incr_by(&key, 1).await?, i64::MAX);
    room.holds(&key, Some(b"9223372036854775807")).await
}

/// A counter keeps the TTL it has, and gets none by itself.
pub async fn incr_by_keeps_the_ttl(room: &Room) -> Result<(), Failure> {
    let (store, key) = (room.store(), room.key("counter"));
    store.incr_by(&key, 1).await?;
    same!("ttl of a new counter", store.ttl(&key).await?, Ttl::Unlimited);
    store.expire(&key, MINUTE).await?;
    store.incr_by(&key, 1).await?;
    let ttl = store.ttl(&key).await?;
    ensure!(matches!(ttl, Ttl::Remaining(left) if left <= MINUTE), "ttl after incr_by: {ttl:?}");
    Ok(())
}

/// A sum beyond 64 bits is refused on both sides, and the value stays.
pub async fn incr_by_refuses_overflow(room: &Room) -> Result<(), Failure> {
    let (store, key) = (room.store(), room.key("counter"));
    for (value, delta) in [(i64::MAX, 1), (i64::MIN, -1), (1, i64::MAX), (-2, i64::MIN)] {
        let text = value.to_string();
        store.set(&key, text.as_bytes(), for_a_minute()).await?;
        refused("incr_by beyond 64 bits", store.incr_by(&key, delta).await, ErrorKind::InvalidInput)?;
        room.holds(&key, Some(text.as_bytes())).await?;
    }
    Ok(())
}

/// What is not an integer as [`incr_by`](crate::KvStore::incr_by) itself writes it is refused, and stays.
pub async fn incr_by_refuses_what_is_no_integer(room: &Room) -> Result<(), Failure> {
    let (store, key) = (room.store(), room.key("counter"));
    for value in ["ten", "", "1.5", " 1", "1 ", "01", "+1", "-0", "-", "1e3", "9223372036854775808"] {
        store.set(&key, value.as_bytes(), for_a_minute()).await?;
        refused(&format!("incr_by of {value:?}"), store.incr_by(&key, 1).await, ErrorKind::WrongType)?;
        room.holds(&key, Some(value.as_bytes())).await?;
    }
    Ok(())
}
