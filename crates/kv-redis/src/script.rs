use crate::{RedisStore, error::classify_script, options::from_now, target::Touch};
use async_trait::async_trait;
use kv_core::{Arg, Error, ErrorKind, Executed, Reply, Result, Script, ScriptCall, ScriptStore};
use redis::{Cmd, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::time::Instant;

#[async_trait]
impl ScriptStore for RedisStore {
    async fn run(&self, script: &Script, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
        let operation = script.name();
        self.limits().check_call(operation, keys, args)?;
        let by = from_now(self.options().deadline);
        let known = self.evaluate("EVALSHA", script.sha1(), keys, args, by).await;
        let reply = match known {
            // NOSCRIPT means that nothing was executed; EVAL with the body needs no second round trip to load it.
            Ok(reply) if is_unknown(&reply) => self.evaluate("EVAL", script.lua(), keys, args, by).await,
            known => known,
        };
        to_reply(operation, reply)
    }

    async fn run_many(&self, script: &Script, calls: &[ScriptCall<'_>]) -> Result<Vec<Result<Reply>>> {
        let operation = script.name();
        for call in calls {
            self.limits().check_call(operation, call.keys, call.args)?;
        }
        let by = from_now(self.options().deadline);
        let failed = |error: RedisError| classify_script(operation, &error).with_executed(Executed::Maybe);
        let mut replies =
            self.evaluate_many("EVALSHA", script.sha1(), calls, by).await.map_err(|error| match calls {
                [] | [_] => classify_script(operation, &error),
                _ => failed(error),
            })?;
        // Whoever does not know the script executed nothing of that call.
        let unknown: Vec<usize> = (0..calls.len()).filter(|at| replies.get(*at).is_some_and(is_unknown)).collect();
        let again: Vec<ScriptCall<'_>> = unknown.iter().filter_map(|at| calls.get(*at).copied()).collect();
        let answers = self.evaluate_many("EVAL", script.lua(), &again, by).await.map_err(failed)?;
        for (at, answer) in unknown.into_iter().zip(answers) {
            if let Some(reply) = replies.get_mut(at) {
                *reply = answer;
            }
        }
        Ok(replies.into_iter().map(|reply| to_reply(operation, Ok(reply))).collect())
    }

    async fn eval(&self, lua: &str, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
        self.limits().check_call("eval", keys, args)?;
        let reply = self.evaluate("EVAL", lua, keys, args, from_now(self.options().deadline)).await;
        to_reply("eval", reply)
    }
}

impl RedisStore {
    async fn evaluate(
        &self,
        name: &str,
        script: &str,
        keys: &[&str],
        args: &[Arg<'_>],
        by: Instant,
    ) -> RedisResult<Value> {
        let touch = keys.first().map_or(Touch::Nothing, |key| Touch::Write(key));
        self.target().command(touch, &command(name, script, keys, args), by).await
    }

    async fn evaluate_many(
        &self,
        name: &str,
        script: &str,
        calls: &[ScriptCall<'_>],
        by: Instant,
    ) -> RedisResult<Vec<Value>> {
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let mut batch = redis::Pipeline::with_capacity(calls.len());
        for call in calls {
            batch.add_command(command(name, script, call.keys, call.args));
        }
        self.target().pipeline(&batch, 0, calls.len(), by).await
    }
}

pub(crate) fn command(name: &str, script: &str, keys: &[&str], args: &[Arg<'_>]) -> Cmd {
    /// The longest decimal number, and more than the count of keys.
    const NUMBER: usize = 20;
    let bytes: usize = keys.iter().map(|key| key.len()).sum::<usize>()
        + args.iter().map(|arg| if let Arg::Bytes(bytes) = arg { bytes.len() } else { NUMBER }).sum::<usize>();
    // Sized first: growing as it is written, the command would be allocated and copied several times.
    let mut command = Cmd::with_capacity(3 + keys.len() + args.len(), name.len() + script.len() + NUMBER + bytes);
    command.arg(name).arg(script).arg(keys.len()).arg(keys);
    for arg in args {
        match arg {
            Arg::Bytes(bytes) => command.arg(*bytes),
            Arg::Int(int) => command.arg(*int),
        };
    }
    command
}

pub(crate) fn is_unknown(reply: &Value) -> bool {
    matches!(reply, Value::ServerError(error) if error.kind() == Some(ServerErrorKind::NoScript))
}

pub(crate) fn to_reply(operation: &'static str, reply: RedisResult<Value>) -> Result<Reply> {
    let value = reply.map_err(|error| classify_script(operation, &error))?;
    Ok(match value {
        Value::Nil => Reply::Nil,
        Value::Int(int) => Reply::Int(int),
        Value::BulkString(bytes) => Reply::Bytes(bytes.into()),
        Value::SimpleString(text) => Reply::Bytes(text.into()),
        Value::Okay => Reply::Bytes("OK".into()),
        Value::Array(items) => {
            Reply::Array(items.into_iter().map(|item| to_reply(operation, Ok(item))).collect::<Result<_>>()?)
        }
        Value::ServerError(error) => return Err(classify_script(operation, &error.into())),
        _ => return Err(Error::new(ErrorKind::UnexpectedReply, operation)),
    })
}
