//! Never more calls at once than there are turns, and no turn is lost.

use super::{SECOND, Slow, WAIT, forwarding::Recorder};
use crate::backend::eventually;
use kv_core::{Around, Call, ConcurrencyLimit, End, ErrorKind, KvStore, Layered, Layers, MemoryStore, Result};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};
use tokio::{
    task::yield_now,
    time::{Instant, sleep},
};

/// How many calls are under way; each stays so for two turns of the others.
#[derive(Clone, Debug, Default)]
struct UnderWay {
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

struct One(Arc<AtomicUsize>);

impl Drop for One {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl Around for UnderWay {
    async fn around<T: Send>(&self, mut call: Call<'_, T>) -> Result<T> {
        self.most.fetch_max(self.now.fetch_add(1, SeqCst) + 1, SeqCst);
        let _one = One(self.now.clone());
        yield_now().await;
        sleep(call.wait()).await;
        yield_now().await;
        call.run().await
    }
}

#[tokio::test(start_paused = true)]
async fn so_many_calls_are_under_way_at_once() {
    let under_way = UnderWay::default();
    let store = Layered::new(Recorder::new(true), under_way.clone());
    let store = Layers::new().concurrency(3).over(store).unwrap();
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.get("key").await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!((under_way.most.load(SeqCst), under_way.now.load(SeqCst)), (3, 0));

    // Who waits for an element neither takes a turn nor waits for one.
    let waits: Vec<_> = (0..5)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.blocking().unwrap().pop(&["list"], End::Front, WAIT).await })
        })
        .collect();
    eventually("all wait", || async { under_way.now.load(SeqCst) == 5 }).await;
    store.get("key").await.unwrap();
    for wait in waits {
        wait.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_gives_its_turn_back() {
    let store = Layered::new(Layered::new(MemoryStore::new(), Slow::Never), ConcurrencyLimit::new(1).unwrap());
    for _ in 0..3 {
        // One is under way, the other waits for its turn; both are dropped.
        let both = async { tokio::join!(store.get("a"), store.get("b")) };
        assert!(tokio::time::timeout(SECOND, both).await.is_err());
    }
    let store = Layered::new(MemoryStore::new(), store.layer().clone());
    assert_eq!(store.get("key").await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_a_turn_counts_against_the_try() {
    let store = Layered::new(MemoryStore::new(), Slow::Never);
    let store = Layers::new().deadline(SECOND).concurrency(1).over(store).unwrap();
    let began = Instant::now();
    let (one, two) = tokio::join!(store.get("a"), store.get("b"));
    assert_eq!((one.unwrap_err().kind(), two.unwrap_err().kind()), (ErrorKind::Timeout, ErrorKind::Timeout));
    assert_eq!(began.elapsed().as_secs(), 1);
}
