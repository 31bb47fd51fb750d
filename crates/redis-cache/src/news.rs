use crate::message::{Kind, Message};
use bytes::Bytes;
use kv_core::{Event, PubSub, Result, Subscription};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::{
    sync::{Mutex as AsyncMutex, oneshot},
    task::AbortHandle,
};

/// What others tell of the keys of this cache: one subscription, opened when it is first needed.
#[derive(Debug)]
pub(crate) struct Newsroom {
    channel: String,
    /// The name of the channel to those who publish.
    address: OnceLock<String>,
    beginning: AtomicBool,
    opening: AsyncMutex<()>,
    open: Arc<AtomicBool>,
    task: Mutex<Option<AbortHandle>>,
    waits: Arc<Waits>,
}

/// Whoever is told of what is changed elsewhere.
pub(crate) trait Reader: Send + Sync + 'static {
    /// A key holds another entry now, or none.
    fn changed(&self, key: &str);
    /// A tag has another generation.
    fn renewed(&self, tag: &str);
    /// Any key may, and if the link is not live, from now on as well.
    fn missed(&self, is_live: bool);
}

/// What somebody who waits for a key hears.
#[derive(Clone, Debug)]
pub(crate) enum News {
    /// The load with this token stored this entry.
    Stored { token: Bytes, entry: Bytes },
    /// Look again.
    Look,
}

#[derive(Debug, Default)]
struct Waits(Mutex<HashMap<String, Vec<oneshot::Sender<News>>>>);

/// A wait for the next that is heard of a key; dropped, nobody waits any more.
pub(crate) struct Wait {
    key: String,
    news: oneshot::Receiver<News>,
    waits: Arc<Waits>,
}

impl Newsroom {
    pub(crate) fn new(prefix: &str) -> Self {
        Self {
            channel: format!("{prefix}:news"),
            address: OnceLock::new(),
            beginning: AtomicBool::default(),
            opening: AsyncMutex::default(),
            open: Arc::default(),
            task: Mutex::default(),
            waits: Arc::default(),
        }
    }

    /// The channel as scripts have to name it.
    pub(crate) fn address(&self, pubsub: Option<&dyn PubSub>) -> &str {
        self.address.get_or_init(|| match pubsub {
            Some(pubsub) => pubsub.channel_name(&self.channel).into_owned(),
            None => self.channel.clone(),
        })
    }

    /// Whether everything that is told from now on is heard.
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// Leave to open it in the background; one at a time has it.
    pub(crate) fn begins(&self) -> bool {
        !self.beginning.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn began(&self) {
        self.beginning.store(false, Ordering::Release);
    }

    /// Opens it, unless it is open; `false` for a store without publish and subscribe.
    pub(crate) async fn open(&self, pubsub: Option<&dyn PubSub>, reader: impl Fn() -> Box<dyn Reader>) -> Result<bool> {
        let Some(pubsub) = pubsub else { return Ok(false) };
        let _one_at_a_time = self.opening.lock().await;
        if !self.is_open() {
            let letters = pubsub.subscribe(&[&self.channel]).await?;
            self.open.store(true, Ordering::Release);
            let task = tokio::spawn(read(letters, self.waits.clone(), Closes(self.open.clone()), reader()));
            *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task.abort_handle());
        }
        Ok(true)
    }

    pub(crate) fn wait(&self, key: &str) -> Wait {
        let (sender, news) = oneshot::channel();
        self.waits.by_key().entry(key.to_owned()).or_default().push(sender);
        Wait { key: key.to_owned(), news, waits: self.waits.clone() }
    }
}

impl Drop for Newsroom {
    fn drop(&mut self) {
        if let Some(task) = &*self.task.lock().unwrap_or_else(PoisonError::into_inner) {
            task.abort();
        }
    }
}

impl Waits {
    fn by_key(&self) -> MutexGuard<'_, HashMap<String, Vec<oneshot::Sender<News>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, key: &str, news: &News) {
        for wait in self.by_key().remove(key).into_iter().flatten() {
            let _ = wait.send(news.clone());
        }
    }

    fn tell_all(&self) {
        for wait in self.by_key().drain().flat_map(|(_, waits)| waits) {
            let _ = wait.send(News::Look);
        }
    }
}

impl Wait {
    /// The next that is heard of the key.
    pub(crate) async fn news(&mut self) -> News {
        (&mut self.news).await.unwrap_or(News::Look)
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.news.close();
        let mut waits = self.waits.by_key();
        if let Some(others) = waits.get_mut(&self.key) {
            others.retain(|wait| !wait.is_closed());
            if others.is_empty() {
                waits.remove(&self.key);
            }
        }
    }
}

/// However the task ends, the room is closed then.
struct Closes(Arc<AtomicBool>);

impl Drop for Closes {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

async fn read(mut letters: Subscription, waits: Arc<Waits>, _open: Closes, reader: Box<dyn Reader>) {
    reader.missed(letters.is_live());
    while let Some(event) = letters.next_event().await {
        let Event::Message(message) = event else {
            reader.missed(letters.is_live());
            waits.tell_all();
            continue;
        };
        // What another version says may be of any key.
        let Some(Message { kind, key, token, entry }) = Message::decode(&message.payload) else {
            reader.missed(letters.is_live());
            waits.tell_all();
            continue;
        };
        match kind {
            Kind::Stored if !entry.is_empty() => waits.tell(&key, &News::Stored { token, entry }),
            Kind::Stored | Kind::Abandoned => waits.tell(&key, &News::Look),
            Kind::Invalidated => {
                reader.changed(&key);
                waits.tell(&key, &News::Look);
            }
            Kind::Renewed => reader.renewed(&key),
        }
    }
    reader.missed(false);
    waits.tell_all();
}
