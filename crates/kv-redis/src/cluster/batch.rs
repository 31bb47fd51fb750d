use super::{
    Cluster, Next, Route, Use, lost,
    plan::{Fold, Plan, plan},
    slot::slot,
    unreadable,
};
use crate::node::Node;
use futures_util::future::join_all;
use redis::{Arg, Cmd, ErrorKind, Pipeline, RedisError, RedisResult, ServerErrorKind, Value};
use std::{collections::BTreeMap, io, sync::Arc};
use tokio::time::Instant;

impl Cluster {
    /// Sends whatever command, to one node, to all, or split by slot.
    pub(crate) async fn any_command(self: &Arc<Self>, command: &Cmd, by: Instant) -> RedisResult<Value> {
        match plan(command) {
            Plan::One(slot) => self.command(slot.map_or(Route::Any, Route::Slot), command, by).await,
            Plan::Every(how) => {
                let masters = self.view().masters.clone();
                let replies = join_all(masters.iter().map(|master| master.command(command, by))).await;
                fold(replies.into_iter().collect::<RedisResult<_>>().map_err(partly)?, how, None)
            }
            Plan::Split { step, fold } => self.split(command, step, fold, by).await,
            Plan::Refused(why) => Err(refused(why)),
        }
    }

    /// Sends the commands of a pipeline to their nodes, one pipeline each, and puts the replies in order.
    ///
    /// A transaction goes to one node as it is. What a node did not execute because the slot has moved is sent on, in order.
    pub(crate) async fn any_pipeline(
        self: &Arc<Self>,
        pipeline: &Pipeline,
        offset: usize,
        count: usize,
        by: Instant,
    ) -> RedisResult<Vec<Value>> {
        let plans: Vec<Plan> = pipeline.cmd_iter().map(plan).collect();
        if pipeline.is_transaction() {
            return self.transaction(&plans, pipeline, offset, count, by).await;
        }
        let mut groups: BTreeMap<usize, (Arc<Node>, Pipeline, Vec<usize>)> = BTreeMap::new();
        let mut alone = Vec::new();
        for (at, (command, plan)) in pipeline.cmd_iter().zip(&plans).enumerate() {
            let Plan::One(slot) = plan else {
                alone.push((at, command));
                continue;
            };
            let node = self.owner(slot.map_or(Route::Any, Route::Slot))?;
            let group =
                groups.entry(Arc::as_ptr(&node) as usize).or_insert_with(|| (node, Pipeline::new(), Vec::new()));
            group.1.add_command(command.clone());
            group.2.push(at);
        }
        let mut replies: Vec<Option<Value>> = vec![None; plans.len()];
        let sent = groups.values().map(|(node, part, at)| self.pipeline(node, part, 0, at.len(), by));
        let parts = join_all(sent).await;
        for ((_, _, positions), part) in groups.values().zip(parts) {
            for (at, reply) in positions.iter().zip(part.map_err(partly)?) {
                if let Some(place) = replies.get_mut(*at) {
                    *place = Some(reply);
                }
            }
        }
        for (at, command) in pipeline.cmd_iter().enumerate() {
            let Some(place) = replies.get_mut(at) else { continue };
            if place.as_ref().is_some_and(is_redirect) || alone.iter().any(|(alone, _)| *alone == at) {
                *place = Some(Box::pin(self.any_command(command, by)).await.map_err(partly)?);
            }
        }
        let replies = replies.into_iter().skip(offset).take(count);
        replies.map(|reply| reply.ok_or_else(unreadable)).collect()
    }

    async fn transaction(
        self: &Arc<Self>,
        plans: &[Plan],
        pipeline: &Pipeline,
        offset: usize,
        count: usize,
        by: Instant,
    ) -> RedisResult<Vec<Value>> {
        let mut slots = plans.iter().filter_map(|plan| if let Plan::One(slot) = plan { *slot } else { None });
        let first = slots.next();
        if slots.any(|slot| Some(slot) != first) || plans.iter().any(|plan| !matches!(plan, Plan::One(_))) {
            return Err(refused("keys of one transaction must share a hash slot"));
        }
        let mut node = self.owner(first.map_or(Route::Any, Route::Slot))?;
        let mut asking = false;
        for hop in 0.. {
            let replies = if asking {
                ask(&node, pipeline, offset, count, by).await
            } else {
                self.pipeline(&node, pipeline, offset, count, by).await
            };
            // Given up before any of it was executed.
            let redirect = match &replies {
                Err(error) => redirect_of(error),
                Ok(replies) => replies.iter().find(|reply| is_redirect(reply)).cloned(),
            };
            let Some(redirect) = redirect else { return replies };
            let Some(next) = self.next(&Ok(redirect), by, hop).await else { return Err(lost()) };
            (node, asking) = match next {
                Next::Moved(slot, address) => (self.moved(slot, address), false),
                Next::Ask(address) => (self.node(&address, Use::Commands), true),
                Next::Again => (node, asking),
            };
        }
        Err(lost())
    }

    async fn split(self: &Arc<Self>, command: &Cmd, step: usize, how: Fold, by: Instant) -> RedisResult<Value> {
        let mut args = command.args_iter().map(|arg| if let Arg::Simple(bytes) = arg { bytes } else { b"0" });
        let name = args.next().unwrap_or_default();
        let args: Vec<&[u8]> = args.collect();
        let mut parts: BTreeMap<u16, (Cmd, Vec<usize>)> = BTreeMap::new();
        for (at, key) in args.chunks(step).enumerate() {
            let slot = slot(key.first().copied().unwrap_or_default());
            let (part, positions) = parts.entry(slot).or_insert_with(|| {
                let mut part = Cmd::new();
                part.arg(name);
                (part, Vec::new())
            });
            for arg in key {
                part.arg(*arg);
            }
            positions.push(at);
        }
        let mut pipeline = Pipeline::new();
        for (part, _) in parts.values() {
            pipeline.add_command(part.clone());
        }
        let replies = Box::pin(self.any_pipeline(&pipeline, 0, parts.len(), by)).await?;
        let positions: Vec<usize> = parts.into_values().flat_map(|(_, positions)| positions).collect();
        fold(replies, how, Some(&positions))
    }
}

/// Makes one reply of many; the first error is the whole's.
fn fold(replies: Vec<Value>, how: Fold, positions: Option<&[usize]>) -> RedisResult<Value> {
    if let Some(error) = replies.iter().find(|reply| matches!(reply, Value::ServerError(_))) {
        return Ok(error.clone());
    }
    match how {
        Fold::Same => replies.into_iter().next().ok_or_else(unreadable),
        Fold::Sum => {
            let numbers = replies
                .iter()
                .map(|reply| if let Value::Int(number) = reply { Ok(*number) } else { Err(unreadable()) });
            numbers.sum::<RedisResult<i64>>().map(Value::Int)
        }
        Fold::Join => {
            let mut all = Vec::new();
            for reply in replies {
                let Value::Array(items) = reply else { return Err(unreadable()) };
                all.extend(items);
            }
            if let Some(positions) = positions {
                let mut placed: Vec<(usize, Value)> = positions.iter().copied().zip(all).collect();
                placed.sort_unstable_by_key(|(at, _)| *at);
                all = placed.into_iter().map(|(_, item)| item).collect();
            }
            Ok(Value::Array(all))
        }
    }
}

/// Sends a transaction to the node that is about to take over its slot.
async fn ask(node: &Node, pipeline: &Pipeline, offset: usize, count: usize, by: Instant) -> RedisResult<Vec<Value>> {
    let mut asking = Pipeline::new();
    // To Redis, it is good for the whole transaction.
    asking.cmd("ASKING").cmd("MULTI");
    for command in pipeline.cmd_iter() {
        asking.add_command(command.clone());
    }
    asking.cmd("EXEC");
    let replies = node.pipeline(&asking, offset + 1, count, by).await?;
    match replies.first() {
        Some(Value::ServerError(error)) if !replies.iter().any(is_redirect) => Err(error.clone().into()),
        _ => Ok(replies),
    }
}

/// The node's reason to give up a transaction, if it sends it elsewhere.
fn redirect_of(error: &RedisError) -> Option<Value> {
    if error.code() != Some("EXECABORT") {
        return None;
    }
    let causes = error.clone().into_server_errors()?;
    causes.iter().map(|(_, cause)| Value::ServerError(cause.clone())).find(is_redirect)
}

pub(super) fn is_redirect(reply: &Value) -> bool {
    use ServerErrorKind::{Ask, Moved, TryAgain};
    matches!(reply, Value::ServerError(error) if matches!(error.kind(), Some(Ask | Moved | TryAgain)))
}

/// The error of a part, while others may have been executed: it no longer says that nothing was sent.
fn partly(error: RedisError) -> RedisError {
    if error.is_connection_refusal() { io::Error::new(io::ErrorKind::ConnectionAborted, error).into() } else { error }
}

fn refused(why: &'static str) -> RedisError {
    (ErrorKind::Server(ServerErrorKind::CrossSlot), why).into()
}
