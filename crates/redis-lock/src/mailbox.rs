use crate::server::Server;
use kv_core::{Event, Result, Subscription};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
};
use tokio::{
    sync::{Mutex as AsyncMutex, Notify, oneshot},
    task::AbortHandle,
};

/// Where the manager is told that locks it waits for are its own: one subscription for all waits, opened by the first.
#[derive(Debug)]
pub(crate) struct Mailbox {
    channel: String,
    /// The name of the channel to those who publish.
    address: OnceLock<String>,
    opening: AsyncMutex<()>,
    task: OnceLock<AbortHandle>,
    waits: Arc<Waits>,
}

#[derive(Debug, Default)]
struct Waits {
    by_token: Mutex<HashMap<String, oneshot::Sender<u64>>>,
    gap: Notify,
}

/// A wait that is told of its grant; dropped, nobody waits any more.
pub(crate) struct Wait {
    token: String,
    granted: oneshot::Receiver<u64>,
    waits: Arc<Waits>,
}

/// What a waiter hears.
pub(crate) enum News {
    /// The lock is granted, with all fencing tokens up to this one.
    Granted(u64),
    /// Something may have been missed.
    Gap,
}

impl Mailbox {
    pub(crate) fn new(prefix: &str) -> Self {
        Self {
            channel: format!("{prefix}:mailbox:{:032x}", rand::random::<u128>()),
            address: OnceLock::new(),
            opening: AsyncMutex::default(),
            task: OnceLock::new(),
            waits: Arc::default(),
        }
    }

    /// The channel to be told on; nothing before it is open.
    pub(crate) fn address(&self) -> Option<&str> {
        self.address.get().map(String::as_str)
    }

    /// Opens it, unless it is open. Without publish and subscribe there is nothing to open, and waiters look for themselves.
    pub(crate) async fn open(&self, server: &Server) -> Result<()> {
        let Some(pubsub) = server.pubsub() else { return Ok(()) };
        let _one_at_a_time = self.opening.lock().await;
        if self.address().is_none() {
            let letters = pubsub.subscribe(&[&self.channel]).await?;
            let task = tokio::spawn(read(letters, Arc::downgrade(&self.waits)));
            let _ = self.task.set(task.abort_handle());
            let _ = self.address.set(pubsub.channel_name(&self.channel).into_owned());
        }
        Ok(())
    }

    pub(crate) fn wait(&self, token: &str) -> Wait {
        let (grant, granted) = oneshot::channel();
        self.waits.by_token().insert(token.to_owned(), grant);
        Wait { token: token.to_owned(), granted, waits: self.waits.clone() }
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

impl Waits {
    fn by_token(&self) -> MutexGuard<'_, HashMap<String, oneshot::Sender<u64>>> {
        self.by_token.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wait {
    /// The next that is heard. Cancel safe.
    pub(crate) async fn news(&mut self) -> News {
        let gap = self.waits.gap.notified();
        tokio::select! {
            biased;
            Ok(last) = &mut self.granted => News::Granted(last),
            () = gap => News::Gap,
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.granted.close();
        let mut waits = self.waits.by_token();
        // Whoever waits anew for the same token goes on.
        if waits.get(&self.token).is_some_and(oneshot::Sender::is_closed) {
            waits.remove(&self.token);
        }
    }
}

/// Hands out the letters, `token:fence` each.
async fn read(mut letters: Subscription, waits: Weak<Waits>) {
    while let Some(event) = letters.next_event().await {
        let Some(waits) = waits.upgrade() else { return };
        let Event::Message(message) = event else {
            waits.gap.notify_waiters();
            continue;
        };
        let text = std::str::from_utf8(&message.payload).ok();
        let letter =
            text.and_then(|text| text.rsplit_once(':')).and_then(|(token, last)| Some((token, last.parse().ok()?)));
        if let Some((token, last)) = letter
            && let Some(wait) = waits.by_token().remove(token)
        {
            // Whoever is gone has said so to the server.
            let _ = wait.send(last);
        }
    }
}
