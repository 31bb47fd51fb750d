use crate::{
    RedisStore,
    error::{classify_script, timed_out},
};
use async_trait::async_trait;
use kv_core::{Arg, Error, ErrorKind, Reply, Result, Script, ScriptStore};
use redis::{Cmd, ServerErrorKind, Value};
use tokio::time::{Instant, timeout};

#[async_trait]
impl ScriptStore for RedisStore {
    async fn run(&self, script: &Script, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
        let operation = script.name();
        self.options().limits.check_call(operation, keys, args)?;
        let (mut connection, started) = (self.connection(), Instant::now());
        let known = command("EVALSHA", script.sha1(), keys, args).query_async(&mut connection).await;
        let reply = match known {
            // NOSCRIPT means that nothing was executed; EVAL with the body needs no second round trip to load it.
            Err(error) if error.kind() == redis::ErrorKind::Server(ServerErrorKind::NoScript) => {
                let left = self.options().deadline.saturating_sub(started.elapsed());
                let eval = command("EVAL", script.lua(), keys, args);
                timeout(left, eval.query_async(&mut connection)).await.map_err(|_| timed_out(operation))?
            }
            known => known,
        };
        let reply = reply.map_err(|error| classify_script(operation, &error))?;
        to_reply(operation, reply)
    }

    async fn eval(&self, lua: &str, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
        self.options().limits.check_call("eval", keys, args)?;
        let reply = command("EVAL", lua, keys, args).query_async(&mut self.connection()).await;
        to_reply("eval", reply.map_err(|error| classify_script("eval", &error))?)
    }
}

fn command(name: &str, script: &str, keys: &[&str], args: &[Arg<'_>]) -> Cmd {
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

fn to_reply(operation: &'static str, value: Value) -> Result<Reply> {
    Ok(match value {
        Value::Nil => Reply::Nil,
        Value::Int(int) => Reply::Int(int),
        Value::BulkString(bytes) => Reply::Bytes(bytes.into()),
        Value::SimpleString(text) => Reply::Bytes(text.into()),
        Value::Okay => Reply::Bytes("OK".into()),
        Value::Array(items) => {
            Reply::Array(items.into_iter().map(|item| to_reply(operation, item)).collect::<Result<_>>()?)
        }
        Value::ServerError(error) => return Err(classify_script(operation, &error.into())),
        _ => return Err(Error::new(ErrorKind::UnexpectedReply, operation)),
    })
}
