use crate::RateLimiter;
use kv_core::{Error, ErrorKind, Result};
use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{runtime::Handle, sync::oneshot, task::yield_now};

/// Sends checks that come while others are on their way together, as soon as those are back.
///
/// Whoever finds a way free goes at once, in the caller's own task. Those that come meanwhile go in a task of their own, so that
/// nobody depends on a caller who may be dropped; it ends when there is nothing left to send.
#[derive(Debug)]
pub(super) struct Batcher {
    limiter: RateLimiter,
    most: usize,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    /// How many are on their way.
    under_way: usize,
    waiting: VecDeque<Waiting>,
    /// Where the next task runs.
    runtime: Option<Handle>,
}

#[derive(Debug)]
struct Waiting {
    key: String,
    cost: i64,
    room: oneshot::Sender<Result<i64>>,
}

/// How many go at a time: the server has the next at hand when it is done with one.
const WAYS: usize = 2;

/// The right to send; dropped, those who wait get it.
#[derive(Debug)]
struct Turn(Arc<Batcher>);

impl Batcher {
    pub(super) fn new(limiter: RateLimiter, most: usize) -> Arc<Self> {
        Arc::new(Self { limiter, most, queue: Mutex::default() })
    }

    /// The room that taking so many ticks leaves; negative if they are denied: what is lacking.
    pub(super) async fn room(self: &Arc<Self>, key: String, cost: i64) -> Result<i64> {
        let (turn, waiting) = {
            let mut queue = self.queue();
            if queue.under_way < WAYS {
                queue.under_way += 1;
                (Some(Turn(self.clone())), None)
            } else if queue.has_runtime() {
                let (room, told) = oneshot::channel();
                queue.waiting.push_back(Waiting { key: key.clone(), cost, room });
                (None, Some(told))
            } else {
                (None, None)
            }
        };
        if let Some(told) = waiting {
            let gone = |_| Err(Error::new(ErrorKind::Unavailable, "ratelimit").with_detail("the runtime is gone"));
            return told.await.unwrap_or_else(gone);
        }
        let room = self.limiter.room(&key, cost).await;
        drop(turn);
        room
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Whether somebody can send what waits.
    fn has_runtime(&mut self) -> bool {
        if self.runtime.is_none() {
            self.runtime = Handle::try_current().ok();
        }
        self.runtime.is_some()
    }
}

impl Turn {
    /// The next to be sent: who is still there.
    fn next(&self) -> Vec<Waiting> {
        let mut queue = self.0.queue();
        let mut batch = Vec::with_capacity(self.0.most.min(queue.waiting.len()));
        while batch.len() < self.0.most
            && let Some(waiting) = queue.waiting.pop_front()
        {
            if !waiting.room.is_closed() {
                batch.push(waiting);
            }
        }
        batch
    }

    async fn send(&self, batch: Vec<Waiting>) {
        let asked: Vec<(&str, i64)> = batch.iter().map(|waiting| (&*waiting.key, waiting.cost)).collect();
        let rooms = self.0.limiter.rooms(&asked).await;
        for (at, Waiting { room, .. }) in batch.into_iter().enumerate() {
            let answer = match &rooms {
                Ok(rooms) => rooms.get(at).cloned(),
                Err(error) => Some(Err(error.clone())),
            };
            // Whoever is gone does not mind; whoever got nothing is told by the channel.
            answer.map(|answer| room.send(answer));
        }
    }
}

async fn serve(turn: Turn) {
    loop {
        let mut batch = turn.next();
        if batch.is_empty() {
            // Those who were just told often have the next check at hand.
            yield_now().await;
            batch = turn.next();
        }
        if batch.is_empty() {
            return;
        }
        turn.send(batch).await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        let runtime = queue.runtime.take().filter(|_| !queue.waiting.is_empty());
        let mut left = VecDeque::new();
        if runtime.is_none() {
            queue.under_way -= 1;
            if queue.under_way == 0 {
                // Nobody sends those without a runtime: they are told so.
                left = mem::take(&mut queue.waiting);
            }
        }
        drop(queue);
        drop(left);
        if let Some(runtime) = runtime {
            runtime.spawn(serve(Self(self.0.clone())));
        }
    }
}
