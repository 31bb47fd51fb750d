use crate::{
    RedisStore,
    error::classify,
    lanes::Lane,
    node::Node,
    options::from_now,
    source::{not_connected, timed_out},
    target::Touch,
};
use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{BlockingStore, End, Error, Limits, Result, RetryPolicy};
use redis::{Cmd, FromRedisValue, RedisError, RedisResult, cmd};
use std::{pin::pin, sync::Arc, time::Duration};
use tokio::{
    runtime::Handle,
    sync::oneshot,
    time::{Instant, sleep, timeout_at},
};

#[async_trait]
impl BlockingStore for RedisStore {
    async fn push(&self, key: &str, end: End, elements: &[&[u8]]) -> Result<u64> {
        self.limits().check_key("push", key)?;
        elements.iter().try_for_each(|element| self.limits().check_value("push", element))?;
        if elements.is_empty() {
            return Err(Error::invalid_input("push", "no element given"));
        }
        self.query("push", Touch::Write(key), cmd(push_name(end)).arg(key).arg(elements)).await
    }

    async fn pop(&self, keys: &[&str], end: End, wait: Duration) -> Result<Option<(String, Bytes)>> {
        self.check_wait("pop", keys, wait)?;
        let name = if end == End::Front { "BLPOP" } else { "BRPOP" };
        let mut pop = cmd(name);
        pop.arg(keys);
        self.wait_for("pop", keys, Waiting { command: pop, wait, undo: Some(push_name(end)) }).await
    }

    async fn move_to(&self, from: (&str, End), to: (&str, End), wait: Duration) -> Result<Option<Bytes>> {
        let keys = [from.0, to.0];
        self.check_wait("move_to", &keys, wait)?;
        let mut mv = cmd("BLMOVE");
        mv.arg(from.0).arg(to.0).arg(side(from.1)).arg(side(to.1));
        let moved: Option<Element> = self.wait_for("move_to", &keys, Waiting { command: mv, wait, undo: None }).await?;
        Ok(moved.map(|Element(element)| element))
    }
}

/// A reply that is one element.
struct Element(Bytes);

impl FromRedisValue for Element {
    fn from_redis_value(value: redis::Value) -> Result<Self, redis::ParsingError> {
        Bytes::from_redis_value(value).map(Self)
    }
}

fn side(end: End) -> &'static str {
    if end == End::Front { "LEFT" } else { "RIGHT" }
}

fn push_name(end: End) -> &'static str {
    if end == End::Front { "LPUSH" } else { "RPUSH" }
}

/// A command that waits, but for how long, and how to take back what it took for somebody who is gone.
#[derive(Clone)]
struct Waiting {
    command: Cmd,
    wait: Duration,
    undo: Option<&'static str>,
}

/// What can be taken back to where it was.
trait Taken: FromRedisValue + Send + 'static {
    fn place(&self) -> Option<(&str, &[u8])>;
}

impl Taken for (String, Bytes) {
    fn place(&self) -> Option<(&str, &[u8])> {
        Some((&self.0, &self.1))
    }
}

impl Taken for Element {
    fn place(&self) -> Option<(&str, &[u8])> {
        None
    }
}

impl RedisStore {
    fn check_wait(&self, operation: &'static str, keys: &[&str], wait: Duration) -> Result<()> {
        self.limits().check_keys(operation, keys)?;
        if keys.is_empty() {
            return Err(Error::invalid_input(operation, "no key given"));
        }
        self.check_slots(operation, keys)?;
        Limits::ttl_millis(operation, wait.max(SHORTEST)).map(drop)
    }

    async fn wait_for<T: Taken>(&self, operation: &'static str, keys: &[&str], waiting: Waiting) -> Result<Option<T>> {
        let failed = |error: RedisError| classify(operation, &error);
        let key = keys.first().copied().unwrap_or_default();
        let patience = self.options().deadline;
        let (until, by) = (from_now(waiting.wait), from_now(waiting.wait.saturating_add(patience)));
        // Sent on at the last moment, it would have no time left for its answer, and nobody would know what became of it.
        let send_by = from_now(waiting.wait.saturating_add(patience / 2));
        loop {
            let node = self.own_node(operation, key)?;
            let lane = node.lanes.take(from_now(patience).min(by)).await.map_err(failed)?;
            // What is left of the wait: a slot that moves does not make it begin anew.
            let mut waiting = waiting.clone();
            waiting.wait = until.saturating_duration_since(Instant::now());
            let millis = Limits::ttl_millis(operation, waiting.wait.max(SHORTEST))?;
            // Half a millisecond more: servers before 7.0 cut off what their floats lack, and to them no time at all is for ever.
            waiting.command.arg(format!("{}.{:03}5", millis / 1000, millis % 1000));
            let (give, taken) = oneshot::channel();
            tokio::spawn(attend(node, lane, waiting, patience, give));
            let reply = timeout_at(by, taken).await.map(|reply| reply.unwrap_or_else(|_| Err(timed_out())));
            match reply.unwrap_or_else(|_| Err(timed_out())) {
                // The slot is on its way to another node.
                Err(error) if self.is_redirected(&error) => {
                    if Instant::now() + REDIRECTED >= send_by {
                        return Err(failed(not_connected("the hash slot is on its way for too long")));
                    }
                    sleep(REDIRECTED).await;
                }
                reply => return reply.map(|held| held.and_then(Held::keep)).map_err(failed),
            }
        }
    }
}

/// To Redis, no time at all is for ever.
const SHORTEST: Duration = Duration::from_millis(1);
const REDIRECTED: Duration = Duration::from_millis(20);

/// Something taken off a list, which goes back unless somebody keeps it.
struct Held<T: Taken> {
    taken: Option<T>,
    back: Option<Back>,
}

/// The way back.
struct Back {
    node: Arc<Node>,
    push: &'static str,
    patience: Duration,
    runtime: Handle,
}

impl<T: Taken> Held<T> {
    fn keep(mut self) -> Option<T> {
        self.back = None;
        self.taken.take()
    }
}

impl<T: Taken> Drop for Held<T> {
    fn drop(&mut self) {
        let (Some(taken), Some(back)) = (self.taken.take(), self.back.take()) else { return };
        back.runtime.clone().spawn(async move {
            let Some((key, element)) = taken.place() else { return };
            let mut push = cmd(back.push);
            push.arg(key).arg(element);
            for attempt in 0..RetryPolicy::default().max_attempts {
                match back.node.command(&push, from_now(back.patience)).await {
                    Ok(redis::Value::Int(_)) => return,
                    Err(error) if error.is_connection_refusal() => {}
                    _ => break,
                }
                sleep(RetryPolicy::default().backoff(attempt)).await;
            }
            tracing::error!("an element taken for a wait that was dropped could not be put back");
        });
    }
}

/// Waits on the lane, until the reply or until nobody wants it.
async fn attend<T: Taken>(
    node: Arc<Node>,
    mut lane: Lane,
    waiting: Waiting,
    patience: Duration,
    mut give: oneshot::Sender<RedisResult<Option<Held<T>>>>,
) {
    let reply = async {
        let id = lane.id().await?;
        let mut connection = lane.connection().clone();
        let mut popping = pin!(waiting.command.query_async::<Option<T>>(&mut connection));
        tokio::select! {
            reply = &mut popping => return reply,
            () = give.closed() => {}
        }
        // What is taken before the server hears of this goes back.
        let _ = node.command(cmd("CLIENT").arg("UNBLOCK").arg(id), from_now(patience)).await;
        popping.await
    };
    // Longer than the caller waits: what a server that hung took meanwhile goes back as well.
    let longest = waiting.wait.saturating_add(patience.saturating_mul(4));
    let begun = Instant::now();
    let reply = timeout_at(from_now(longest), reply).await.unwrap_or_else(|_| Err(timed_out()));
    if reply.as_ref().is_err_and(RedisError::is_timeout) {
        node.lanes.doubt(begun);
    }
    if reply.as_ref().map_or_else(|error| !error.is_io_error(), |_| true) {
        node.lanes.give_back(lane);
    }
    let back = waiting.undo.map(|push| Back { node, push, patience, runtime: Handle::current() });
    // Whoever is gone drops what is held, and with that it goes back.
    let _ = give.send(reply.map(|taken| taken.map(|taken| Held { taken: Some(taken), back })));
}
