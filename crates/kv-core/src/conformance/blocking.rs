use super::{
    Failure, Room,
    check::{ensure, for_a_minute, refused, same, soon},
    concurrency::at_once,
};
use crate::{
    BlockingStore,
    End::{Back, Front},
    ErrorKind, KvStoreExt,
};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Longer than anybody has to wait.
const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(200);
const NO_WAIT: Duration = Duration::ZERO;

fn lists(room: &Room) -> Result<&dyn BlockingStore, Failure> {
    Ok(room.store().require_blocking("conformance")?)
}

/// Takes what is there, element after element.
async fn drain(room: &Room, key: &str) -> Result<Vec<String>, Failure> {
    let mut elements = Vec::new();
    while let Some((_, element)) = lists(room)?.pop(&[key], Front, NO_WAIT).await? {
        elements.push(String::from_utf8_lossy(&element).into_owned());
    }
    Ok(elements)
}

/// `push` says how long the list is with what it added.
pub async fn push_returns_the_length(room: &Room) -> Result<(), Failure> {
    let (key, lists) = (room.key("list"), lists(room)?);
    same!("length", lists.push(&key, Back, &[b"1"]).await?, 1);
    same!("length", lists.push(&key, Front, &[b"2", b"3"]).await?, 3);
    lists.pop(&[&key], Back, NO_WAIT).await?;
    same!("length", lists.push(&key, Back, &[b""]).await?, 3);
    Ok(())
}

/// Elements are added one by one at one end and taken from either: a queue or a stack, byte for byte.
pub async fn pop_takes_from_its_end(room: &Room) -> Result<(), Failure> {
    let (key, lists) = (room.key("list"), lists(room)?);
    for (push, pop, order) in [(Back, Front, "abc"), (Front, Back, "abc"), (Back, Back, "cba"), (Front, Front, "cba")] {
        lists.push(&key, push, &[b"a", b"b"]).await?;
        lists.push(&key, push, &[b"c"]).await?;
        let mut taken = String::new();
        while let Some((list, element)) = lists.pop(&[&key], pop, NO_WAIT).await? {
            same!("list of an element", list, key);
            taken.push_str(&String::from_utf8_lossy(&element));
        }
        same!("order of elements", taken, order);
    }
    let long = room.long_value();
    for element in [&b""[..], b"\x00\xff\r\n", &long] {
        lists.push(&key, Back, &[element]).await?;
        let taken = lists.pop(&[&key], Front, NO_WAIT).await?;
        same!("element", taken.as_ref().map(|(_, element)| &**element), Some(element));
    }
    Ok(())
}

/// Of several lists the first that has an element gives it, and the answer tells which.
pub async fn pop_takes_from_the_first_list_that_has_one(room: &Room) -> Result<(), Failure> {
    let (empty, one, two, lists) = (room.key("empty"), room.key("one"), room.key("two"), lists(room)?);
    lists.push(&two, Back, &[b"2"]).await?;
    lists.push(&one, Back, &[b"1"]).await?;
    for (key, element) in [(&one, "1"), (&two, "2")] {
        let taken = soon("pop of what is there", lists.pop(&[&empty, &one, &two], Front, LONG)).await??;
        same!("element", taken, Some((key.clone(), element.into())));
    }
    Ok(())
}

/// Who waits gets what comes, at once, on any of its lists.
pub async fn a_wait_is_woken_by_a_push(room: &Room) -> Result<(), Failure> {
    let (one, two) = (room.key("one"), room.key("two"));
    for key in [&one, &two] {
        let waiting = tokio::spawn({
            let (store, one, two) = (room.shared(), one.clone(), two.clone());
            async move { store.require_blocking("pop")?.pop(&[&one, &two], Front, LONG).await }
        });
        // Time for the wait to begin; if it does not, the push is simply there first.
        sleep(SHORT / 4).await;
        lists(room)?.push(key, Back, &[b"1"]).await?;
        let taken = soon("the wait for an element", waiting).await?.map_err(|_| Failure::new("pop panics"))??;
        same!("element", taken, Some((key.clone(), "1".into())));
    }
    let mut moving = Box::pin(lists(room)?.move_to((&one, Front), (&two, Back), LONG));
    ensure!(timeout(SHORT / 4, &mut moving).await.is_err(), "move_to does not wait");
    lists(room)?.push(&one, Back, &[b"2"]).await?;
    same!("element", soon("the wait of move_to", moving).await??, Some("2".into()));
    Ok(())
}

/// A wait for nothing ends when it said, takes nothing, and one of no time ends at once.
pub async fn a_wait_ends_in_time(room: &Room) -> Result<(), Failure> {
    let (key, other, lists) = (room.key("list"), room.key("other"), lists(room)?);
    let started = Instant::now();
    same!("pop of nothing", soon("the end of a wait", lists.pop(&[&key], Front, SHORT)).await??, None);
    let waited = started.elapsed();
    ensure!(waited + Duration::from_millis(20) >= SHORT, "a wait of {SHORT:?} ends after {waited:?}");
    let moved = soon("the end of a wait", lists.move_to((&key, Front), (&other, Back), SHORT / 4)).await??;
    same!("move_to of nothing", moved, None);
    same!("pop without a wait", soon("a pop of no time", lists.pop(&[&key], Front, NO_WAIT)).await??, None);
    let moved = soon("a move_to of no time", lists.move_to((&key, Front), (&other, Back), NO_WAIT)).await??;
    same!("move_to without a wait", moved, None);
    // A wait that is over takes nothing that comes later.
    same!("length after the waits", lists.push(&key, Back, &[b"1"]).await?, 1);
    same!("elements after the waits", drain(room, &key).await?, ["1"]);
    Ok(())
}

/// Of many who take from a list, no two get the same element, and all elements are got.
pub async fn every_element_goes_to_one(room: &Room) -> Result<(), Failure> {
    let (key, lists) = (room.key("list"), lists(room)?);
    let elements: Vec<String> = (10..30).map(|at| at.to_string()).collect();
    let bytes: Vec<&[u8]> = elements.iter().map(String::as_bytes).collect();
    lists.push(&key, Back, &bytes).await?;
    let taken = at_once(room, 4, |store| {
        let key = key.clone();
        async move {
            let (lists, mut taken) = (store.require_blocking("pop")?, Vec::new());
            while let Some((_, element)) = lists.pop(&[&key], Front, NO_WAIT).await? {
                taken.push(String::from_utf8_lossy(&element).into_owned());
            }
            Ok(taken)
        }
    });
    let mut taken = taken.await?.concat();
    taken.sort_unstable();
    same!("elements taken", taken, elements);
    Ok(())
}

/// What is moved is returned and at its end of the other list, which may be the same.
pub async fn move_to_keeps_the_element(room: &Room) -> Result<(), Failure> {
    let (from, to, lists) = (room.key("from"), room.key("to"), lists(room)?);
    lists.push(&from, Back, &[b"1", b"2", b"3"]).await?;
    lists.push(&to, Back, &[b"0"]).await?;
    same!("moved", lists.move_to((&from, Front), (&to, Back), NO_WAIT).await?, Some("1".into()));
    same!("moved", lists.move_to((&from, Back), (&to, Front), LONG).await?, Some("3".into()));
    same!("the list it went to", drain(room, &to).await?, ["3", "0", "1"]);
    lists.push(&from, Back, &[b"4"]).await?;
    same!("rotated", lists.move_to((&from, Front), (&from, Back), NO_WAIT).await?, Some("2".into()));
    same!("the list it came from", drain(room, &from).await?, ["4", "2"]);
    Ok(())
}

/// A wait that is dropped, before an element comes or as it comes, takes none away.
pub async fn a_dropped_wait_loses_nothing(room: &Room) -> Result<(), Failure> {
    const ROUNDS: u64 = 12;
    let (key, lists) = (room.key("list"), lists(room)?);
    let mut taken = 0;
    for round in 0..ROUNDS {
        let waiting = tokio::spawn({
            let (store, key) = (room.shared(), key.clone());
            async move { store.require_blocking("pop")?.pop(&[&key], Front, LONG).await }
        });
        sleep(Duration::from_millis(2 + round % 3 * 10)).await;
        // Dropped before the push, about when it is made, and after it.
        if round % 3 == 0 {
            waiting.abort();
        }
        lists.push(&key, Back, &[b"1"]).await?;
        waiting.abort();
        // A task that was done by then has taken its element, in the hands of this one now.
        if let Ok(popped) = waiting.await
            && popped?.is_some()
        {
            taken += 1;
        }
    }
    let mut left = 0;
    while taken + left < ROUNDS {
        // What a dropped wait took is put back by somebody else, a little later.
        match lists.pop(&[&key], Front, Duration::from_secs(2)).await? {
            Some(_) => left += 1,
            None => return Err(Failure::new(format!("{} of {ROUNDS} elements are lost", ROUNDS - taken - left))),
        }
    }
    same!("elements beyond those that were pushed", drain(room, &key).await?, Vec::<String>::new());
    Ok(())
}

/// A string is no list, and a list no string.
pub async fn lists_refuse_other_types(room: &Room) -> Result<(), Failure> {
    let (text, list, lists) = (room.key("text"), room.key("list"), lists(room)?);
    room.store().set(&text, b"1", for_a_minute()).await?;
    lists.push(&list, Back, &[b"1"]).await?;
    let wrong = ErrorKind::WrongType;
    refused("push on a string", lists.push(&text, Back, &[b"2"]).await, wrong)?;
    refused("pop from a string", lists.pop(&[&text], Front, NO_WAIT).await, wrong)?;
    refused("move_to from a string", lists.move_to((&text, Front), (&list, Back), NO_WAIT).await, wrong)?;
    refused("move_to a string", lists.move_to((&list, Front), (&text, Back), NO_WAIT).await, wrong)?;
    refused("get of a list", room.store().get(&list).await, wrong)?;
    room.holds(&text, Some(b"1")).await?;
    same!("elements after refused calls", drain(room, &list).await?, ["1"]);
    Ok(())
}

/// Empty keys, no keys and no elements are refused before anything waits.
pub async fn lists_refuse_what_can_never_work(room: &Room) -> Result<(), Failure> {
    let (key, lists, invalid) = (room.key("list"), lists(room)?, ErrorKind::InvalidInput);
    refused("push on an empty key", lists.push("", Back, &[b"1"]).await, invalid)?;
    refused("push of nothing", lists.push(&key, Back, &[]).await, invalid)?;
    refused("pop from an empty key", soon("a refusal", lists.pop(&[&key, ""], Front, LONG)).await?, invalid)?;
    refused("pop from nothing", soon("a refusal", lists.pop(&[], Front, LONG)).await?, invalid)?;
    let from = soon("a refusal", lists.move_to(("", Front), (&key, Back), LONG)).await?;
    refused("move_to from an empty key", from, invalid)?;
    let to = soon("a refusal", lists.move_to((&key, Front), ("", Back), LONG)).await?;
    refused("move_to an empty key", to, invalid)
}
