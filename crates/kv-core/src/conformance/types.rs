use super::{
    Failure, Room,
    check::{for_a_minute, refused, same},
};
use crate::ErrorKind;

/// Reading or counting another type is [`ErrorKind::WrongType`], and leaves it there.
pub async fn another_type_is_wrong_for_strings(room: &Room) -> Result<(), Failure> {
    let (store, key) = (room.store(), room.other_type("other").await?);
    refused("get of another type", store.get(&key).await, ErrorKind::WrongType)?;
    refused("get_range of another type", store.get_range(&key, 0, 1).await, ErrorKind::WrongType)?;
    refused("incr_by of another type", store.incr_by(&key, 1).await, ErrorKind::WrongType)?;
    same!("exists of another type", store.exists(&key).await?, true);
    Ok(())
}

/// A key of another type reads as absent among many, and the others are read.
pub async fn another_type_is_absent_in_mget(room: &Room) -> Result<(), Failure> {
    let (store, other, text) = (room.store(), room.other_type("other").await?, room.key("text"));
    store.set(&text, b"1", for_a_minute()).await?;
    same!(
        "mget with another type",
        store.mget(&[&text, &other, &text]).await?,
        [Some("1".into()), None, Some("1".into())]
    );
    same!("mget of another type alone", store.mget(&[&other]).await?, [None]);
    Ok(())
}

/// Deletes and unconditional sets do not mind the type.
pub async fn another_type_is_deleted_and_replaced(room: &Room) -> Result<(), Failure> {
    let (store, key) = (room.store(), room.other_type("other").await?);
    same!("delete of another type", store.delete(&[&key]).await?, 1);
    same!("exists after the delete", store.exists(&key).await?, false);
    room.other_type("other").await?;
    same!("set over another type", store.set(&key, b"1", for_a_minute()).await?, true);
    room.holds(&key, Some(b"1")).await?;
    room.store().delete(&[&key]).await?;
    room.other_type("other").await?;
    store.mset(&[(&key, b"2")], Some(super::check::MINUTE)).await?;
    room.holds(&key, Some(b"2")).await
}
