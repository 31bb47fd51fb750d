use super::{
    Failure, Room,
    check::{MINUTE, for_a_minute, same, soon},
};
use crate::{KvStore, KvStoreExt, Result as Answer};
use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
};
use tokio::task::{JoinSet, yield_now};

const TASKS: usize = 100;

/// Runs so many tasks on the store at once, and gathers what they say.
pub(super) async fn at_once<T, F>(
    room: &Room,
    tasks: usize,
    call: impl Fn(Arc<dyn KvStore>) -> F,
) -> Result<Vec<T>, Failure>
where
    T: Send + 'static,
    F: Future<Output = Answer<T>> + Send + 'static,
{
    let mut running: JoinSet<Answer<T>> = (0..tasks).map(|_| call(room.shared())).collect();
    let mut answers = Vec::with_capacity(tasks);
    while let Some(done) = running.join_next().await {
        answers.push(done.map_err(|_| Failure::new("a call panics"))??);
    }
    Ok(answers)
}

/// No increment is lost, and no sum is told twice.
pub async fn concurrent_increments_add_up(room: &Room) -> Result<(), Failure> {
    let key = room.key("counter");
    let mut sums = at_once(room, TASKS, |store| {
        let key = key.clone();
        async move { store.incr_by(&key, 1).await }
    })
    .await?;
    sums.sort_unstable();
    same!("sums of a hundred increments", sums, (1..=TASKS as i64).collect::<Vec<_>>());
    room.holds(&key, Some(TASKS.to_string().as_bytes())).await
}

/// Of many who write if absent, one is told that it did.
pub async fn one_of_many_set_if_absent_wins(room: &Room) -> Result<(), Failure> {
    let key = room.key("lock");
    let won = at_once(room, TASKS, |store| {
        let key = key.clone();
        async move { store.set_nx_px(&key, b"1", MINUTE).await }
    })
    .await?;
    same!("winners", won.into_iter().filter(|won| *won).count(), 1);
    Ok(())
}

/// Calls that are dropped at any of their first awaits hold up nobody, and mix up no answers.
pub async fn dropped_calls_leave_the_store_usable(room: &Room) -> Result<(), Failure> {
    let (store, one, two) = (room.store(), room.key("one"), room.key("two"));
    store.set(&one, b"1", for_a_minute()).await?;
    store.set(&two, b"2", for_a_minute()).await?;
    for polls in 1..20 {
        poll_times(polls, pin!(store.get(&one))).await;
        poll_times(polls, pin!(store.set(&one, b"1", for_a_minute()))).await;
        poll_times(polls, pin!(store.mget(&[&one, &one]))).await;
        poll_times(polls, pin!(store.expire(&one, MINUTE))).await;
        soon("a call after a dropped one", room.holds(&two, Some(b"2"))).await??;
    }
    soon("a call after a dropped one", room.holds(&one, Some(b"1"))).await?
}

/// Polls a future so many times, and leaves it.
async fn poll_times<T>(times: usize, mut future: Pin<&mut (impl Future<Output = T> + Send)>) {
    for _ in 0..times {
        let done = poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await;
        if done {
            return;
        }
        yield_now().await;
    }
}
