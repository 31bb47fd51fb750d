use super::Failure;
use crate::{
    Arg, End, KvStore, KvStoreExt, PubSub, Reply, Result as Answer, ScanStore, Script, ScriptStore, TwinContext,
};
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// A corner of a store for one behaviour: keys that nobody else has, and that go with it.
pub struct Room {
    store: Arc<dyn KvStore>,
    id: u64,
    keys: Mutex<Vec<String>>,
}

impl Room {
    /// A fresh corner of a store.
    pub fn new(store: Arc<dyn KvStore>) -> Self {
        Self { store, id: rand::random(), keys: Mutex::default() }
    }

    /// The store.
    pub fn store(&self) -> &dyn KvStore {
        &*self.store
    }

    /// The store for a task of its own.
    pub(super) fn shared(&self) -> Arc<dyn KvStore> {
        self.store.clone()
    }

    /// A key; all of them share a hash slot.
    pub fn key(&self, name: &str) -> String {
        self.remember(format!("conformance:{{{:x}}}:{name}", self.id))
    }

    /// So many keys of different hash slots.
    pub fn spread(&self, count: usize) -> Vec<String> {
        (0..count).map(|at| self.remember(format!("conformance:{{{:x}-{at}}}:spread", self.id))).collect()
    }

    /// As large a value as the store takes, up to a size that no buffer holds in one piece.
    pub(super) fn long_value(&self) -> Vec<u8> {
        b"0123456789"
            .iter()
            .copied()
            .cycle()
            .take(self.store.capabilities().limits.max_value_bytes.min(50_000))
            .collect()
    }

    /// Deletes all keys, as far as the store does what it is told.
    pub async fn clear(&self) {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for some in keys.chunks(100) {
            let some: Vec<&str> = some.iter().map(String::as_str).collect();
            let _ = tokio::time::timeout(Duration::from_secs(5), self.store.delete(&some)).await;
        }
    }

    fn remember(&self, key: String) -> String {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if !keys.contains(&key) {
            keys.push(key.clone());
        }
        key
    }

    /// A key that holds something else than a string.
    pub(super) async fn other_type(&self, name: &str) -> Result<String, Failure> {
        let key = self.key(name);
        match self.store.scripts() {
            Some(scripts) => drop(scripts.run(&OTHER_TYPE, &[&key], &[]).await?),
            None => drop(self.store.require_blocking("push")?.push(&key, End::Back, &[b"a"]).await?),
        }
        Ok(key)
    }

    /// Checks what a key holds.
    pub(super) async fn holds(&self, key: &str, expected: Option<&[u8]>) -> Result<(), Failure> {
        let found = self.store.get(key).await?;
        if found.as_deref() == expected {
            return Ok(());
        }
        Err(Failure::new(format!("a key reads as {:?}, expected {:?}", Shown(found.as_deref()), Shown(expected))))
    }

    pub(super) fn scripts(&self) -> Result<&dyn ScriptStore, Failure> {
        Ok(self.store.require_scripts("conformance")?)
    }

    pub(super) fn pubsub(&self) -> Result<&dyn PubSub, Failure> {
        Ok(self.store.require_pubsub("conformance")?)
    }

    pub(super) fn scan(&self) -> Result<&dyn ScanStore, Failure> {
        Ok(self.store.require_scan("conformance")?)
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Bytes as a failure shows them: not all, when there are many.
struct Shown<'a>(Option<&'a [u8]>);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("absent"),
            Some(bytes) if bytes.len() <= 64 => write!(f, "\"{}\"", bytes.escape_ascii()),
            Some(bytes) => write!(f, "{} bytes", bytes.len()),
        }
    }
}

static OTHER_TYPE: Script = Script::new(
    "conformance/other-type",
    r#"redis.call("HSET", KEYS[1], "a", "b"); redis.call("PEXPIRE", KEYS[1], 60000)"#,
    other_type,
);

fn other_type(store: &mut TwinContext<'_>, keys: &[&str], _: &[Arg<'_>]) -> Answer<Reply> {
    for key in keys {
        store.set_state(key, ("a", "b"), Some(60_000));
    }
    Ok(Reply::Nil)
}
