//! How often a call is made, and how long.

use super::{FailingOnce, IDEMPOTENT, NOT, SECOND, Slow, WAIT, drive, forwarding::Recorder, quick};
use kv_core::{
    Around, Call, Condition, Deadline, End, ErrorKind, Executed, KvStore, Layered, Layers, MemoryStore, Result,
    Retrying, SetOptions,
};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::SeqCst},
};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn what_may_have_been_executed_is_repeated_only_where_that_is_harmless() {
    for (kind, executed, expected) in [
        (ErrorKind::Timeout, Executed::Maybe, IDEMPOTENT.to_vec()),
        (ErrorKind::Unavailable, Executed::No, [&IDEMPOTENT[..], &NOT].concat()),
        (ErrorKind::Rejected, Executed::Maybe, vec![]),
        (ErrorKind::InvalidInput, Executed::No, vec![]),
    ] {
        let failing = FailingOnce::new(kind, executed);
        let store = Layers::new().retry(quick()).over(Layered::new(Recorder::new(true), failing.clone())).unwrap();
        drive(&*store).await;
        let mut expected = expected;
        expected.sort_unstable();
        assert_eq!(failing.repeated(), expected, "{kind:?} {executed:?}");
        assert_eq!(failing.tries.lock().unwrap().len(), IDEMPOTENT.len() + NOT.len());
    }
}

#[tokio::test(start_paused = true)]
async fn a_set_on_a_condition_is_not_repeated() {
    for condition in [Condition::IfAbsent, Condition::IfPresent] {
        let failing = FailingOnce::new(ErrorKind::Timeout, Executed::Maybe);
        let store = Layered::new(MemoryStore::new(), failing.clone());
        let store = Layered::new(store, Retrying::new(quick()).unwrap());
        let error = store.set("key", b"1", SetOptions::default().condition(condition)).await.unwrap_err();
        assert_eq!((error.executed(), failing.repeated()), (Executed::Maybe, vec![]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_each_try_and_the_call_may_have_been_executed() {
    let store = Layered::new(Layered::new(Recorder::new(true), Slow::Never), Deadline::new(SECOND).unwrap());
    let began = Instant::now();
    let error = store.get("key").await.unwrap_err();
    assert_eq!((error.kind(), error.executed(), error.operation()), (ErrorKind::Timeout, Executed::Maybe, "get"));
    assert_eq!(began.elapsed().as_secs(), 1);
    let began = Instant::now();
    let error = store.blocking().unwrap().pop(&["list"], End::Front, WAIT).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Timeout, "pop"));
    assert_eq!(began.elapsed().as_secs(), 31, "what it may wait by itself comes on top");
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_an_element_is_cut_off_by_no_layer() {
    let store = Layered::new(Recorder::new(true), Slow::ItsWait);
    let store = Layers::new().retry(quick()).deadline(SECOND).over(store).unwrap();
    let lists = store.blocking().unwrap();
    assert_eq!(lists.pop(&["list"], End::Front, WAIT).await.unwrap(), None);
    assert_eq!(lists.move_to(("a", End::Front), ("b", End::Back), WAIT).await.unwrap(), None);
}

#[derive(Clone, Debug, Default)]
struct Counting(Arc<AtomicU32>);

impl Around for Counting {
    async fn around<T: Send>(&self, mut call: Call<'_, T>) -> Result<T> {
        self.0.fetch_add(1, SeqCst);
        call.run().await
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_is_that_of_a_try_and_the_policys_that_of_all() {
    let counting = Counting::default();
    let store = Layered::new(Layered::new(MemoryStore::new(), Slow::Never), counting.clone());
    let policy = quick().max_attempts(1000).deadline(SECOND * 10);
    let store = Layers::new().retry(policy).deadline(SECOND).over(store).unwrap();
    let began = Instant::now();
    let error = store.get("key").await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Timeout, "get"));
    assert_eq!(began.elapsed().as_secs(), 10);
    assert_eq!(counting.0.load(SeqCst), 10);
    let error = store.incr_by("key", 1).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Timeout, "incr_by"));
    assert_eq!(counting.0.load(SeqCst), 11);
}
