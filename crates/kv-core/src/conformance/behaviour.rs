use super::{Failure, Outcome, Room};
use crate::{AtomicBatch, KvStore};
use std::{fmt, pin::Pin, sync::Arc, time::Duration};

type Running<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

/// One promise of the traits, and how to see whether a store keeps it.
pub struct Behaviour {
    pub(super) name: &'static str,
    pub(super) need: Need,
    pub(super) body: for<'a> fn(&'a Room) -> Running<'a>,
}

impl Behaviour {
    /// Longer than all that a behaviour waits for by itself.
    const PATIENCE: Duration = Duration::from_secs(30);

    /// The name, which is that of the function.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Which stores it is for.
    pub fn need(&self) -> Need {
        self.need
    }

    /// Tries it on a store, and takes away what it left there.
    pub async fn check(&self, store: Arc<dyn KvStore>) -> Outcome {
        if !self.need.is_met(&*store) {
            return Outcome::NotApplicable(self.need);
        }
        let (body, room) = (self.body, Arc::new(Room::new(store)));
        // A task of its own, so that a store that panics fails one behaviour and not the run.
        let mut task = tokio::spawn({
            let room = room.clone();
            async move { body(&room).await }
        });
        let outcome = match tokio::time::timeout(Self::PATIENCE, &mut task).await {
            Ok(Ok(Ok(()))) => Outcome::Passed,
            Ok(Ok(Err(failure))) => Outcome::Failed(failure),
            Ok(Err(_)) => Outcome::Failed(Failure::new("the store panicked")),
            Err(_) => {
                task.abort();
                Outcome::Failed(Failure::new("it hangs"))
            }
        };
        room.clear().await;
        outcome
    }
}

impl fmt::Debug for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Behaviour").field("name", &self.name).field("need", &self.need).finish_non_exhaustive()
    }
}

/// Which stores a behaviour is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Need {
    /// Every store.
    Nothing,
    /// Those that can hold something else than a string: by a script, or as a list.
    OtherTypes,
    /// Those with [`max_value_bytes`](crate::Limits::max_value_bytes) small enough to go beyond.
    ValueLimit,
    /// Those with [`max_key_bytes`](crate::Limits::max_key_bytes) small enough to go beyond.
    KeyLimit,
    /// Those that run scripts.
    Scripts,
    /// Those that run scripts, and publish.
    ScriptsAndPubSub,
    /// Those that run Lua.
    Lua,
    /// Those that run scripts by their twins only.
    NoLua,
    /// Those that run no scripts.
    NoScripts,
    /// Those that publish.
    PubSub,
    /// Those that publish and are one server, which sees all subscribers.
    Counts,
    /// Those that do not publish.
    NoPubSub,
    /// Those that list their keys.
    Scan,
    /// Those that do not list their keys.
    NoScan,
    /// Those with lists.
    Blocking,
    /// Those without lists.
    NoBlocking,
    /// Those that tell which keys change.
    Tracking,
    /// Those that do not tell which keys change.
    NoTracking,
}

impl Need {
    /// What is small enough to be sent in a test if the store fails to refuse it.
    const SMALL: usize = 16 << 20;

    /// Whether it is a need of this store.
    pub fn is_met(self, store: &dyn KvStore) -> bool {
        let capabilities = store.capabilities();
        let (scripts, pubsub) = (store.scripts().is_some(), store.pubsub().is_some());
        match self {
            Self::Nothing => true,
            Self::OtherTypes => scripts || store.blocking().is_some(),
            Self::ValueLimit => capabilities.limits.max_value_bytes <= Self::SMALL,
            Self::KeyLimit => capabilities.limits.max_key_bytes <= Self::SMALL,
            Self::Scripts => scripts,
            Self::ScriptsAndPubSub => scripts && pubsub,
            Self::Lua => scripts && capabilities.lua,
            Self::NoLua => scripts && !capabilities.lua,
            Self::NoScripts => !scripts,
            Self::PubSub => pubsub,
            Self::Counts => pubsub && capabilities.atomic_batch == AtomicBatch::All,
            Self::NoPubSub => !pubsub,
            Self::Scan => store.scan().is_some(),
            Self::NoScan => store.scan().is_none(),
            Self::Blocking => store.blocking().is_some(),
            Self::NoBlocking => store.blocking().is_none(),
            Self::Tracking => store.tracking().is_some(),
            Self::NoTracking => store.tracking().is_none(),
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "every store",
            Self::OtherTypes => "a store with scripts or lists",
            Self::ValueLimit => "a store that limits values to 16 MiB or less",
            Self::KeyLimit => "a store that limits keys to 16 MiB or less",
            Self::Scripts => "a store with scripts",
            Self::ScriptsAndPubSub => "a store with scripts and pub/sub",
            Self::Lua => "a store with lua",
            Self::NoLua => "a store with scripts but no lua",
            Self::NoScripts => "a store without scripts",
            Self::PubSub => "a store with pub/sub",
            Self::Counts => "a store with pub/sub on one server",
            Self::NoPubSub => "a store without pub/sub",
            Self::Scan => "a store with a scan",
            Self::NoScan => "a store without a scan",
            Self::Blocking => "a store with lists",
            Self::NoBlocking => "a store without lists",
            Self::Tracking => "a store that tells which keys change",
            Self::NoTracking => "a store that does not tell which keys change",
        })
    }
}
