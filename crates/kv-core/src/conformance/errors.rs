use super::{
    Failure, Room,
    check::{MINUTE, ensure, fails, for_a_minute, same},
};
use crate::{Error, ErrorKind, SetOptions};
use std::{error::Error as StdError, time::Duration};

/// [`Error::operation`] is the name of the method.
pub async fn errors_name_their_operation(room: &Room) -> Result<(), Failure> {
    let (store, key) = (room.store(), room.key("text"));
    store.set(&key, b"text", for_a_minute()).await?;
    let zero = SetOptions::default().ttl(Duration::ZERO);
    let named = [
        ("get", store.get("").await.err()),
        ("get_range", store.get_range("", 0, 1).await.err()),
        ("set", store.set("", b"1", for_a_minute()).await.err()),
        ("set", store.set(&key, b"1", zero).await.err()),
        ("delete", store.delete(&[""]).await.err()),
        ("exists", store.exists("").await.err()),
        ("ttl", store.ttl("").await.err()),
        ("expire", store.expire("", MINUTE).await.err()),
        ("incr_by", store.incr_by("", 1).await.err()),
        ("incr_by", store.incr_by(&key, 1).await.err()),
        ("mget", store.mget(&[""]).await.err()),
        ("mset", store.mset(&[("", b"1")], None).await.err()),
    ];
    for (operation, error) in named {
        let Some(error) = error else { return Err(Failure::new(format!("{operation} of what is invalid succeeds"))) };
        same!("operation of an error", error.operation(), operation);
    }
    Ok(())
}

/// Neither the text of an error, nor its debug form, nor what is behind it shows the data.
pub async fn errors_show_neither_key_nor_value(room: &Room) -> Result<(), Failure> {
    let (store, key) = (room.store(), room.key("secret-key"));
    store.set(&key, b"secret-value", for_a_minute()).await?;
    silent(&fails("incr_by of a text", store.incr_by(&key, 1).await, ErrorKind::WrongType)?)?;
    let zero = SetOptions::default().ttl(Duration::ZERO);
    silent(&fails("set for no time", store.set(&key, b"secret-new", zero).await, ErrorKind::InvalidInput)?)?;
    let batch = store.mset(&[(&key, b"secret-new"), ("", b"secret-other")], None).await;
    silent(&fails("mset of an empty key", batch, ErrorKind::InvalidInput)?)?;
    store.set(&key, i64::MAX.to_string().as_bytes(), for_a_minute()).await?;
    silent(&fails("incr_by beyond 64 bits", store.incr_by(&key, 1).await, ErrorKind::InvalidInput)?)?;
    if store.scripts().is_some() || store.blocking().is_some() {
        let other = room.other_type("secret-other").await?;
        silent(&fails("get of another type", store.get(&other).await, ErrorKind::WrongType)?)?;
    }
    Ok(())
}

fn silent(error: &Error) -> Result<(), Failure> {
    let mut texts = vec![format!("{error} {error:?}")];
    let mut behind = StdError::source(error);
    while let Some(source) = behind {
        texts.push(format!("{source} {source:?}"));
        behind = source.source();
    }
    for text in texts {
        let shown = ["secret", "9223372036854775807"].iter().any(|secret| text.contains(secret));
        ensure!(!shown, "an error shows a key or a value: {text}");
    }
    Ok(())
}
