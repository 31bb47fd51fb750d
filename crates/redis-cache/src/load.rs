use crate::{
    CacheError,
    entry::Entry,
    flight::Outcome,
    remote::{Lookup, Remote},
    script::{ABANDON, BEGIN, COMMIT},
};
use kv_core::{Arg, KvStoreExt, Limits, Reply, Result, Script};
use std::{error::Error as StdError, pin::Pin, sync::Arc};
use tokio::time::timeout;

/// What a caller's loader returned: the load itself, not begun.
pub(crate) type Loading<V> = Pin<Box<dyn Future<Output = Result<Option<V>, Box<dyn StdError + Send + Sync>>> + Send>>;

impl<V: Send + Sync + 'static> Remote<V> {
    /// One load from beginning to end: take the right to store, run the loader, store.
    ///
    /// The right is a token under the load key. Invalidation deletes it, so a loader that began before never stores
    /// what it read; a process that dies loses it by expiry. `replace` is for a value that does not decode.
    pub(crate) async fn load(&self, key: &str, load_key: &str, replace: bool, loading: Loading<V>) -> Outcome<V> {
        let token = format!("{:032x}", rand::random::<u128>());
        // The loader's time, and a little for the commands around it.
        let lease = Limits::ttl_millis("cache", self.options.load_timeout)?.saturating_add(1000);
        let args = [token.as_str().into(), Arg::Int(lease), Arg::Int(i64::from(!replace))];
        let may_store = match self.run(&BEGIN, &[key, load_key], &args).await {
            Ok(Reply::Bytes(bytes)) => match self.decode(&bytes).inspect(|found| self.count(found)) {
                Some(Lookup::Hit(value)) => return Ok(Some(value)),
                Some(Lookup::Null) => return Ok(None),
                _ => false,
            },
            Ok(Reply::Int(1)) => true,
            Ok(_) => {
                self.counters.raced.count();
                false
            }
            Err(error) if error.is_temporary() => false,
            Err(error) => return Err(error.into()),
        };
        let outcome = self.run_loader(loading).await;
        if may_store && let Err(error) = self.settle(key, load_key, &token, &outcome).await {
            tracing::warn!(%error, "a loaded value is not cached");
        }
        outcome
    }

    /// Stores what the load brought, or gives the right to store to the next.
    async fn settle(&self, key: &str, load_key: &str, token: &str, outcome: &Outcome<V>) -> Result<()> {
        match outcome {
            Err(_) => drop(self.run(&ABANDON, &[load_key], &[token.into()]).await?),
            Ok(value) if self.commit(key, load_key, token, value.as_deref()).await? => {}
            Ok(_) => self.counters.invalidated.count(),
        }
        Ok(())
    }

    /// Runs the loader in a task of its own, so that its panic or its time-out ends nothing else.
    async fn run_loader(&self, loading: Loading<V>) -> Outcome<V> {
        self.counters.loads.count();
        let mut task = tokio::spawn(loading);
        match timeout(self.options.load_timeout, &mut task).await {
            Ok(Ok(Ok(value))) => Ok(value.map(Arc::new)),
            Ok(Ok(Err(error))) => Err(CacheError::Load(error.into())),
            Ok(Err(_)) => Err(CacheError::LoadAborted),
            Err(_) => {
                task.abort();
                Err(CacheError::LoadTimeout)
            }
        }
    }

    /// Stores a value or its absence, unless the key was invalidated since the load began.
    async fn commit(&self, key: &str, load_key: &str, token: &str, value: Option<&V>) -> Result<bool> {
        let (entry, ttl) = match value {
            None => (Entry::null(), self.options.negative_ttl),
            Some(value) => (self.encode(value)?, self.options.ttl),
        };
        let args = [token.into(), Arg::Bytes(&entry), Arg::Int(self.options.jittered(ttl)?)];
        Ok(self.run(&COMMIT, &[key, load_key], &args).await? == Reply::Int(1))
    }

    fn encode(&self, value: &V) -> Result<Vec<u8>> {
        let plain = self.codec.encode(value)?;
        if let Some(transform) = &self.options.transform
            && let Some(payload) = transform.apply(&plain)?
        {
            return Ok(Entry::value(transform.id(), &payload));
        }
        Ok(Entry::value(0, &plain))
    }

    async fn run(&self, script: &Script, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
        let reply = self.store.require_scripts(script.name())?.run(script, keys, args).await;
        if reply.is_err() {
            self.counters.store_errors.count();
        }
        reply
    }
}
