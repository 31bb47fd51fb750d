use kv_core::{Arg, Error, Executed, Reply, Result, Script, ScriptStore};

/// What a lock guards: a number that knows the largest fencing token it has seen, and refuses smaller ones.
pub(crate) struct Register<'a> {
    pub(crate) scripts: &'a dyn ScriptStore,
    pub(crate) key: String,
}

/// What became of a write.
#[derive(Debug)]
pub(crate) enum Written {
    /// This number, certainly or perhaps.
    Value(i64, bool),
    /// Somebody with a larger token has been there.
    Refused,
    /// Nothing was written.
    Nothing,
}

/// A reader that has seen the number with its token keeps those before it from writing.
static READ: Script = Script::new(
    "torture/read",
    "local fence = tonumber(redis.call('HGET', KEYS[1], 'fence') or 0)
     if tonumber(ARGV[1]) < fence then return -1 end
     redis.call('HSET', KEYS[1], 'fence', ARGV[1])
     return tonumber(redis.call('HGET', KEYS[1], 'value') or 0)",
    |_, _, _| Err(Error::wrong_arity()),
);

static WRITE: Script = Script::new(
    "torture/write",
    "if tonumber(ARGV[1]) < tonumber(redis.call('HGET', KEYS[1], 'fence') or 0) then return -1 end
     redis.call('HSET', KEYS[1], 'fence', ARGV[1], 'value', ARGV[2])
     return 1",
    |_, _, _| Err(Error::wrong_arity()),
);

impl Register<'_> {
    pub(crate) async fn read(&self, fence: i64) -> Result<i64> {
        self.run(&READ, &[fence]).await
    }

    pub(crate) async fn write(&self, fence: i64, value: i64) -> Written {
        match self.run(&WRITE, &[fence, value]).await {
            Ok(-1) => Written::Refused,
            Ok(_) => Written::Value(value, true),
            Err(error) if error.executed() == Executed::Maybe => Written::Value(value, false),
            Err(_) => Written::Nothing,
        }
    }

    async fn run(&self, script: &Script, args: &[i64]) -> Result<i64> {
        let args: Vec<Arg<'_>> = args.iter().map(|arg| Arg::Int(*arg)).collect();
        match self.scripts.run(script, &[&self.key], &args).await? {
            Reply::Int(int) => Ok(int),
            reply => reply.into_int("register"),
        }
    }
}
