//! Readers, writers and deletions stopped at each of their awaits, with another one in between, or for good.

use super::{MINUTE, options, value};
use kv_core::{Around, Call, ErrorKind, Executed, KvStoreExt, Layered, MemoryStore, Result};
use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
};
use tokio::task::yield_now;

/// Yields at both sides of each call.
#[derive(Clone, Debug)]
struct Steps;

impl Around for Steps {
    async fn around<T: Send>(&self, mut call: Call<'_, T>) -> Result<T> {
        yield_now().await;
        let reply = call.run().await;
        yield_now().await;
        reply
    }
}

/// Polls a future so many times; the answer, if it was done by then.
async fn poll_times<T>(times: usize, future: &mut Pin<&mut impl Future<Output = T>>) -> Option<T> {
    for _ in 0..times {
        if let Poll::Ready(done) = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await {
            return Some(done);
        }
    }
    None
}

#[tokio::test]
async fn a_reader_sees_a_write_whole_or_not_at_all_wherever_both_are() {
    // Longer, shorter, of the same length, and stored whole on either side.
    for (before, after) in [(35, 95), (95, 35), (55, 55), (5, 55), (55, 5)] {
        let (old, new) = (value(1, before), value(2, after));
        'reader: for read_polls in 0.. {
            for write_polls in 0.. {
                let store = Layered::new(MemoryStore::new(), Steps);
                store.set_chunked("key", &old, &options()).await.unwrap();
                let options = options();
                let mut reader = pin!(store.get_chunked("key", &options));
                let mut writer = pin!(store.set_chunked("key", &new, &options));
                let read = poll_times(read_polls, &mut reader).await;
                let written = poll_times(write_polls, &mut writer).await;
                let done_reading = read.is_some();
                let read = match read {
                    Some(read) => read,
                    None => reader.await,
                };
                let read = read.unwrap().unwrap();
                assert!(read == old || read == new, "reader at {read_polls}, writer at {write_polls}");
                if done_reading {
                    assert_eq!(read, old);
                }
                if written.is_none() {
                    writer.await.unwrap();
                }
                assert_eq!(store.get_chunked("key", &options).await.unwrap().unwrap(), new);
                if written.is_some() {
                    match done_reading {
                        true => break 'reader,
                        false => break,
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn of_two_writers_one_wins_wherever_both_are() {
    let (one, two) = (value(1, 35), value(2, 55));
    'first: for first_polls in 0.. {
        for second_polls in 0.. {
            let store = Layered::new(MemoryStore::new(), Steps);
            let options = options();
            let mut first = pin!(store.set_chunked("key", &one, &options));
            let mut second = pin!(store.set_chunked("key", &two, &options));
            let first_done = poll_times(first_polls, &mut first).await.is_some();
            let second_done = poll_times(second_polls, &mut second).await.is_some();
            if !first_done {
                first.await.unwrap();
            }
            if !second_done {
                second.await.unwrap();
            }
            let read = store.get_chunked("key", &options).await.unwrap().unwrap();
            assert!(read == one || read == two, "first at {first_polls}, second at {second_polls}");
            // What the loser leaves goes by its TTL.
            assert!(store.delete_chunked("key").await.unwrap());
            store.inner().clock().advance(MINUTE * 3);
            assert!(store.inner().is_empty());
            if second_done {
                match first_done {
                    true => break 'first,
                    false => break,
                }
            }
        }
    }
}

#[tokio::test]
async fn a_dropped_write_is_seen_whole_or_not_at_all_and_leaves_nothing_for_ever() {
    for polls in 0.. {
        let store = Layered::new(MemoryStore::new(), Steps);
        store.set_chunked("key", &value(1, 35), &options()).await.unwrap();
        let done = poll_times(polls, &mut pin!(store.set_chunked("key", &value(2, 95), &options()))).await.is_some();
        let read = store.get_chunked("key", &options()).await.unwrap().unwrap();
        assert!(read == value(1, 35) || read == value(2, 95), "dropped at {polls}");
        store.inner().clock().advance(MINUTE * 3);
        assert!(store.inner().is_empty(), "dropped at {polls}");
        if done {
            assert_eq!(read, value(2, 95));
            break;
        }
    }
}

#[tokio::test]
async fn a_dropped_deletion_deletes_all_or_leaves_all() {
    for polls in 0.. {
        let store = Layered::new(MemoryStore::new(), Steps);
        store.set_chunked("key", &value(1, 35), &options()).await.unwrap();
        let done = poll_times(polls, &mut pin!(store.delete_chunked("key"))).await.is_some();
        let read = store.get_chunked("key", &options()).await.unwrap();
        assert!(read.is_none_or(|read| read == value(1, 35)), "dropped at {polls}");
        if done {
            assert!(store.inner().is_empty());
            break;
        }
    }
}

/// Lets another write come between each look at the manifest and the parts.
#[derive(Debug)]
struct Overwritten(MemoryStore, u32);

impl Around for Overwritten {
    async fn around<T: Send>(&self, mut call: Call<'_, T>) -> Result<T> {
        if call.name() == "mget" {
            for tag in 0..self.1 {
                self.0.set_chunked("key", &value(tag as u8, 35), &options()).await?;
            }
        }
        call.run().await
    }
}

#[tokio::test]
async fn a_reader_that_is_always_too_late_gives_up() {
    let memory = MemoryStore::new();
    memory.set_chunked("key", &value(1, 35), &options()).await.unwrap();
    let store = Layered::new(memory.clone(), Overwritten(memory, 1));
    let error = store.get_chunked("key", &options()).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Unavailable, Executed::No));
}
