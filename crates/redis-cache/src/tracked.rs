use crate::{cache::Inner, near::Teller};
use kv_core::{Event, KeyChanges, KvStoreExt, Result};
use std::{
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::task::AbortHandle;

/// What the store itself tells of changed entries, once it is asked to.
#[derive(Debug, Default)]
pub(crate) struct Tracked {
    open: Arc<AtomicBool>,
    task: Mutex<Option<AbortHandle>>,
}

/// How soon to ask again for what did not begin.
pub(crate) const AGAIN: Duration = Duration::from_millis(500);

impl Tracked {
    /// Whether every change from now on is heard.
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        if let Some(task) = &*self.task.lock().unwrap_or_else(PoisonError::into_inner) {
            task.abort();
        }
    }
}

impl<V: Send + Sync + 'static> Inner<V> {
    /// Hears from now on what changes, whoever changes it. For one task at a time.
    pub(crate) async fn track(self: &Arc<Self>) -> Result<()> {
        let remote = &self.remote;
        let tracking = remote.store.require_tracking("cache")?;
        let changes = tracking.track(&[&format!("{}:{{", remote.options.prefix)]).await?;
        self.tracked.open.store(true, Ordering::Release);
        let task = tokio::spawn(follow(changes, Arc::downgrade(self), Closes(self.tracked.open.clone())));
        *self.tracked.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task.abort_handle());
        Ok(())
    }

    fn heard(&self, is_live: bool) {
        if let Some(near) = &self.near {
            if is_live { near.link_up(Teller::Store) } else { near.link_down(Teller::Store) }
        }
    }
}

/// However the task ends, nothing is heard then.
struct Closes(Arc<AtomicBool>);

impl Drop for Closes {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

async fn follow<V: Send + Sync + 'static>(mut changes: KeyChanges, inner: Weak<Inner<V>>, _open: Closes) {
    if let Some(inner) = inner.upgrade() {
        inner.heard(changes.is_live());
    }
    while let Some(event) = changes.next_event().await {
        let Some(inner) = inner.upgrade() else { return };
        match event {
            // Leases change with every load, and what becomes of tags is told by the caches.
            Event::Message(key) if inner.remote.keys.id(&key).is_some() => inner.forget(&key),
            Event::Message(_) => {}
            Event::Gap => inner.heard(changes.is_live()),
        }
    }
    if let Some(inner) = inner.upgrade() {
        inner.heard(false);
    }
}
