use super::{Broken, Defect::*};
use async_trait::async_trait;
use kv_core::{Arg, Executed, KvStore, KvStoreExt, Reply, Result, Script, ScriptCall, ScriptStore, SetOptions};
use tokio::task::yield_now;

#[async_trait]
impl ScriptStore for Broken {
    async fn run(&self, script: &Script, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
        let scripts = self.inner.require_scripts("run")?;
        match self.defect {
            TextArguments => {
                let texts: Vec<String> =
                    args.iter().map(|arg| String::from_utf8_lossy(&arg.to_bytes()).into()).collect();
                let args: Vec<Arg<'_>> = texts.iter().map(|text| text.as_str().into()).collect();
                scripts.run(script, keys, &args).await
            }
            NilIsEmpty => scripts.run(script, keys, args).await.map(filled),
            ScriptsElsewhere => self.other.run(script, keys, args).await,
            ScriptsInSteps => {
                for key in keys {
                    match self.inner.get(key).await? {
                        Some(value) => drop(self.other.set(key, &value, SetOptions::default()).await?),
                        None => drop(self.other.delete(&[key]).await?),
                    }
                }
                let reply = self.other.run(script, keys, args).await?;
                yield_now().await;
                for key in keys {
                    if let Some(value) = self.other.get(key).await? {
                        self.inner.set(key, &value, SetOptions::default()).await?;
                    }
                }
                Ok(reply)
            }
            DeniesExecution => scripts.run(script, keys, args).await.map_err(|error| error.with_executed(Executed::No)),
            ScriptsTakeEmptyKeys => {
                let keys: Vec<&str> = keys.iter().map(|key| if key.is_empty() { "empty" } else { key }).collect();
                scripts.run(script, &keys, args).await
            }
            _ => scripts.run(script, keys, args).await,
        }
    }

    async fn run_many(&self, script: &Script, calls: &[ScriptCall<'_>]) -> Result<Vec<Result<Reply>>> {
        self.inner.require_scripts("run_many")?.run_many(script, calls).await
    }

    async fn eval(&self, lua: &str, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
        let scripts = self.inner.require_scripts("eval")?;
        match self.defect {
            EvalForgetsArguments => scripts.eval(lua, keys, &[]).await,
            EvalSaysNothing => Ok(Reply::Nil),
            _ => scripts.eval(lua, keys, args).await,
        }
    }
}

fn filled(reply: Reply) -> Reply {
    match reply {
        Reply::Nil => Reply::Bytes("".into()),
        Reply::Array(items) => Reply::Array(items.into_iter().map(filled).collect()),
        reply => reply,
    }
}
