use crate::{RedisStore, cluster::slot::slot, error::classify, target::Touch};
use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{
    AtomicBatch, BlockingStore, Capabilities, Condition, Executed, KvStore, Limits, PubSub, Replication, Result,
    ScanStore, ScriptStore, SetOptions, Tracking, Ttl,
};
use redis::{Cmd, FromRedisValue, cmd};
use std::{collections::BTreeMap, time::Duration};

#[async_trait]
impl KvStore for RedisStore {
    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        self.limits().check_key("get", key)?;
        self.query("get", Touch::Read(key), sized("GET", &[key.len()]).arg(key)).await
    }

    async fn get_range(&self, key: &str, offset: usize, len: usize) -> Result<Bytes> {
        self.limits().check_key("get_range", key)?;
        // The server counts from both ends, up to an end that is included.
        let (Ok(first), Some(more)) = (i64::try_from(offset), len.checked_sub(1)) else { return Ok(Bytes::new()) };
        let last = first.saturating_add_unsigned(more as u64);
        self.query("get_range", Touch::Read(key), sized("GETRANGE", &[key.len(), 20, 20]).arg(key).arg(first).arg(last))
            .await
    }

    async fn set(&self, key: &str, value: &[u8], options: SetOptions) -> Result<bool> {
        self.limits().check_key("set", key)?;
        self.limits().check_value("set", value)?;
        let mut set = sized("SET", &[key.len(), value.len(), 2, 20, 2]);
        set.arg(key).arg(value);
        if let Some(ttl) = options.ttl {
            set.arg("PX").arg(Limits::ttl_millis("set", ttl)?);
        }
        match options.condition {
            Condition::IfAbsent => drop(set.arg("NX")),
            Condition::IfPresent => drop(set.arg("XX")),
            _ => {}
        }
        self.query("set", Touch::Write(key), &set).await
    }

    /// The memory is freed in the background: `UNLINK`.
    async fn delete(&self, keys: &[&str]) -> Result<u64> {
        self.limits().check_keys("delete", keys)?;
        match keys {
            [] => Ok(0),
            [key] => self.query("delete", Touch::Write(key), cmd("UNLINK").arg(key)).await,
            _ => self.batch("delete", keys, cmd("UNLINK").arg(keys)).await,
        }
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        self.limits().check_key("exists", key)?;
        self.query("exists", Touch::Read(key), cmd("EXISTS").arg(key)).await
    }

    async fn ttl(&self, key: &str) -> Result<Ttl> {
        self.limits().check_key("ttl", key)?;
        let millis: i64 = self.query("ttl", Touch::Read(key), cmd("PTTL").arg(key)).await?;
        Ok(match millis {
            -2 => Ttl::Missing,
            -1 => Ttl::Unlimited,
            left => Ttl::Remaining(Duration::from_millis(left.max(0) as u64)),
        })
    }

    async fn expire(&self, key: &str, ttl: Duration) -> Result<bool> {
        self.limits().check_key("expire", key)?;
        let millis = Limits::ttl_millis("expire", ttl)?;
        self.query("expire", Touch::Write(key), cmd("PEXPIRE").arg(key).arg(millis)).await
    }

    async fn incr_by(&self, key: &str, delta: i64) -> Result<i64> {
        self.limits().check_key("incr_by", key)?;
        self.query("incr_by", Touch::Write(key), cmd("INCRBY").arg(key).arg(delta)).await
    }

    async fn mget(&self, keys: &[&str]) -> Result<Vec<Option<Bytes>>> {
        self.limits().check_keys("mget", keys)?;
        match keys {
            [] => Ok(Vec::new()),
            [first, ..] if !self.spans_slots(keys) => {
                self.query("mget", Touch::Read(first), cmd("MGET").arg(keys)).await
            }
            _ => self.batch("mget", keys, cmd("MGET").arg(keys)).await,
        }
    }

    async fn mset(&self, entries: &[(&str, &[u8])], ttl: Option<Duration>) -> Result<()> {
        for (key, value) in entries {
            self.limits().check_key("mset", key)?;
            self.limits().check_value("mset", value)?;
        }
        let millis = ttl.map(|ttl| Limits::ttl_millis("mset", ttl)).transpose()?;
        let keys: Vec<&str> = entries.iter().map(|(key, _)| *key).collect();
        match millis {
            _ if entries.is_empty() => Ok(()),
            None => self.batch("mset", &keys, cmd("MSET").arg(entries)).await,
            Some(millis) if self.spans_slots(&keys) => {
                let mut slots: BTreeMap<u16, Vec<_>> = BTreeMap::new();
                for entry in entries {
                    slots.entry(slot(entry.0.as_bytes())).or_default().push(*entry);
                }
                let parts = slots.values().map(|part| self.set_all(part, millis));
                let outcomes = futures_util::future::join_all(parts).await;
                let outcome = outcomes.into_iter().collect::<Result<()>>();
                outcome.map_err(|error| error.with_executed(Executed::Maybe))
            }
            Some(millis) => self.set_all(entries, millis).await,
        }
    }

    fn capabilities(&self) -> Capabilities {
        let batch = if self.target().has_slots() { AtomicBatch::PerSlot } else { AtomicBatch::All };
        Capabilities::default().limits(*self.limits()).lua(true).atomic_batch(batch)
    }

    fn scripts(&self) -> Option<&dyn ScriptStore> {
        Some(self)
    }

    fn pubsub(&self) -> Option<&dyn PubSub> {
        self.home().map(|_| self as &dyn PubSub)
    }

    fn scan(&self) -> Option<&dyn ScanStore> {
        self.home().map(|_| self as &dyn ScanStore)
    }

    fn blocking(&self) -> Option<&dyn BlockingStore> {
        self.home().map(|_| self as &dyn BlockingStore)
    }

    fn replication(&self) -> Option<&dyn Replication> {
        self.home().map(|_| self as &dyn Replication)
    }

    fn tracking(&self) -> Option<&dyn Tracking> {
        self.home().map(|_| self as &dyn Tracking)
    }
}

/// A command with room for arguments of these lengths: growing as it is written, it would be allocated several times.
fn sized(name: &str, lengths: &[usize]) -> Cmd {
    let mut command = Cmd::with_capacity(1 + lengths.len(), name.len() + lengths.iter().sum::<usize>());
    command.arg(name);
    command
}

impl RedisStore {
    fn spans_slots(&self, keys: &[&str]) -> bool {
        self.check_slots("batch", keys).is_err()
    }

    /// Sends a command over many keys, which may be split: then an error leaves others done.
    async fn batch<T: FromRedisValue>(&self, operation: &'static str, keys: &[&str], command: &Cmd) -> Result<T> {
        let reply = self.query(operation, Touch::Unknown, command).await;
        reply.map_err(|error| if self.spans_slots(keys) { error.with_executed(Executed::Maybe) } else { error })
    }

    async fn set_all(&self, entries: &[(&str, &[u8])], millis: i64) -> Result<()> {
        let mut transaction = redis::pipe();
        transaction.atomic();
        for (key, value) in entries {
            transaction.cmd("SET").arg(key).arg(value).arg("PX").arg(millis).ignore();
        }
        transaction.query_async(&mut self.connection()).await.map_err(|error| classify("mset", &error))
    }
}
