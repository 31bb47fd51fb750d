use crate::{
    RedisStore,
    error::classify_script,
    link::is_read_only,
    options::from_now,
    script::{command, is_unknown, to_reply},
};
use async_trait::async_trait;
use kv_core::{Arg, Error, ErrorKind, Limits, Replication, Reply, Result, Script};
use redis::{Cmd, Value, aio::MultiplexedConnection};
use std::time::Duration;

/// What waits for replicas holds up its connection, so it has one of its own.
#[async_trait]
impl Replication for RedisStore {
    async fn run_and_wait(
        &self,
        script: &Script,
        keys: &[&str],
        args: &[Arg<'_>],
        replicas: u32,
        wait: Duration,
    ) -> Result<(Reply, u32)> {
        let operation = script.name();
        self.limits().check_call(operation, keys, args)?;
        self.check_slots(operation, keys)?;
        let millis = Limits::ttl_millis(operation, wait.max(Duration::from_millis(1)))?;
        let key = keys.first().copied().unwrap_or_default();
        let known = self.send_and_wait(operation, key, command("EVALSHA", script.sha1(), keys, args), replicas, millis);
        let (mut reply, mut acknowledged) = known.await?;
        if is_unknown(&reply) {
            let whole = command("EVAL", script.lua(), keys, args);
            (reply, acknowledged) = self.send_and_wait(operation, key, whole, replicas, millis).await?;
        }
        let reply = to_reply(operation, Ok(reply))?;
        match acknowledged {
            Value::Int(acknowledged) => Ok((reply, u32::try_from(acknowledged).unwrap_or_default())),
            Value::ServerError(error) => Err(classify_script(operation, &error.into())),
            _ => Err(Error::new(ErrorKind::UnexpectedReply, operation)),
        }
    }
}

impl RedisStore {
    async fn send_and_wait(
        &self,
        operation: &'static str,
        key: &str,
        command: Cmd,
        replicas: u32,
        millis: i64,
    ) -> Result<(Value, Value)> {
        let node = self.own_node(operation, key)?;
        let mut both = redis::Pipeline::with_capacity(2);
        both.add_command(command).cmd("WAIT").arg(replicas).arg(millis);
        let patience = self.options().deadline;
        let by = from_now(patience.saturating_add(Duration::from_millis(millis.unsigned_abs())));
        let send = async |connection: &mut MultiplexedConnection| connection.send_packed_commands(&both, 0, 2).await;
        let replies = node.lanes.call(from_now(patience), by, send, |replies| replies.iter().any(is_read_only)).await;
        let replies = replies.map_err(|error| classify_script(operation, &error))?;
        <[Value; 2]>::try_from(replies)
            .map(|[reply, acknowledged]| (reply, acknowledged))
            .map_err(|_| Error::new(ErrorKind::UnexpectedReply, operation))
    }
}
