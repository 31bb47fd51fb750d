//! A write that fails says whether it is seen, and it is.

use super::{options, value};
use kv_core::{
    Around, Call, Error, ErrorKind, Executed, KvStoreExt, Layered, Layers, MemoryStore, Result, RetryPolicy,
};
use std::sync::Mutex;

/// Fails the nth call, before or after it is made.
#[derive(Debug)]
struct FailingAt {
    at: u32,
    executed: Executed,
    calls: Mutex<u32>,
}

impl Around for FailingAt {
    async fn around<T: Send>(&self, mut call: Call<'_, T>) -> Result<T> {
        let now = {
            let mut calls = self.calls.lock().unwrap();
            *calls += 1;
            *calls - 1
        };
        if now != self.at {
            return call.run().await;
        }
        if self.executed == Executed::Maybe {
            call.run().await?;
        }
        Err(Error::new(ErrorKind::Timeout, call.name()).with_executed(self.executed))
    }
}

#[tokio::test]
async fn a_write_that_fails_says_whether_it_is_seen_and_leaves_no_parts() {
    for executed in [Executed::No, Executed::Maybe] {
        for at in 0.. {
            let memory = MemoryStore::new();
            memory.set_chunked("key", &value(1, 35), &options()).await.unwrap();
            let failing = FailingAt { at, executed, calls: Mutex::default() };
            // Retries beneath must not make of a lost reply a second manifest.
            let store = Layers::new().retry(RetryPolicy::default().max_attempts(1));
            let store = store.over(Layered::new(memory.clone(), failing)).unwrap();
            let outcome = store.set_chunked("key", &value(2, 95), &options()).await;
            let read = memory.get_chunked("key", &options()).await.unwrap().unwrap();
            match &outcome {
                Ok(()) => assert_eq!(read, value(2, 95)),
                Err(error) if error.executed() == Executed::No => {
                    assert_eq!((read, memory.len()), (value(1, 35).into(), 5), "{error} at {at}");
                }
                Err(error) => assert_eq!((read, error.operation()), (value(2, 95).into(), "set_chunked")),
            }
            if at == 20 {
                break;
            }
            // Five trips for the parts, a look, the manifest; that the old parts stay is no error.
            assert_eq!(outcome.is_err(), at < 7, "{executed:?} at {at}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_manifest_whose_reply_was_lost_is_not_sent_again() {
    let memory = MemoryStore::new();
    let failing = FailingAt { at: 6, executed: Executed::Maybe, calls: Mutex::default() };
    let store = Layers::new().retry(RetryPolicy::default()).over(Layered::new(memory.clone(), failing)).unwrap();
    let error = store.set_chunked("key", &value(2, 95), &options()).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Timeout, Executed::Maybe));
    assert_eq!(memory.get_chunked("key", &options()).await.unwrap().unwrap(), value(2, 95));
}
