mod mirror;
mod options;
mod rebuild;
mod script;
mod shape;
mod stats;

pub use {options::BloomOptions, rebuild::BloomRebuild, script::BLOOM_SCRIPTS, stats::BloomStats};

use crate::Guard;
use async_trait::async_trait;
use kv_core::{Arg, Error, Keyspace, KvStore, KvStoreExt, Limits, Result, ScriptCall};
use mirror::Mirror;
use script::INSERT;
use shape::{BLOCK_BYTES, Place, Shape};
use stats::Counters;
use std::{collections::BTreeMap, sync::Arc};

/// A [`Guard`] that knows which ids were inserted: a Bloom filter in the store, shared by all processes. Clones share everything.
///
/// An id that was inserted is never called absent; one that was not may be taken for one that was, at the stated
/// [error rate](BloomOptions::error_rate). Whatever it cannot know, it says may exist: there is no filter yet, it expired, was
/// evicted, or has other [options](BloomOptions), or the store is away.
///
/// A filter begins with a [rebuild](Self::rebuild), and only a rebuild forgets ids. It sees what the store keeps: a failover or a restart
/// that loses the last writes loses ids, so rebuild after one, and let the [TTL](BloomOptions::ttl) bound what nobody noticed.
///
/// All keys of a filter are in one hash slot, in strings of at most 64 MiB.
///
/// ```
/// # use redis_cache::{kv_core::{MemoryStore, Result}, BloomGuard, BloomOptions, Guard}; use std::sync::Arc;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// let products = BloomGuard::new(Arc::new(MemoryStore::new()), "products", BloomOptions::default())?;
/// assert!(products.may_exist("42").await, "nothing is known yet");
///
/// let mut rebuild = products.rebuild().await?;
/// rebuild.insert(&["1", "2", "3"]).await?;
/// rebuild.commit().await?;
/// assert!(products.may_exist("1").await);
/// assert!(!products.may_exist("42").await);
///
/// products.insert(&["42"]).await?;
/// assert!(products.may_exist("42").await);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct BloomGuard {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Arc<dyn KvStore>,
    shape: Shape,
    ttl: i64,
    /// The pages in force, and those that a rebuild fills.
    pages: Vec<String>,
    next: Vec<String>,
    mirror: Option<Mirror>,
    counters: Counters,
}

/// How many ids go to the store in one call of a script.
const IDS_PER_CALL: usize = 500;

impl BloomGuard {
    /// The filter of this name, on a store that runs scripts. No round trip.
    ///
    /// Errors: [`InvalidConfig`](kv_core::ErrorKind::InvalidConfig) naming the option, also for a filter of more than 4 GiB or than the
    /// store takes; [`Unsupported`](kv_core::ErrorKind::Unsupported) for a store without scripts.
    pub fn new(store: Arc<dyn KvStore>, name: &str, options: BloomOptions) -> Result<Self> {
        options.check()?;
        store.require_scripts("bloom")?;
        let shape = Shape::new(&options)?;
        if shape.page_bytes() > store.capabilities().limits.max_value_bytes {
            return Err(Error::invalid_config("bloom", "capacity takes larger values than the store does"));
        }
        let keys = Keyspace::new(options.prefix)?;
        let key = |page: u64, state: &str| keys.key(name, &format!("{}:{page}{state}", shape.id()));
        Ok(Self {
            inner: Arc::new(Inner {
                pages: (0..shape.pages).map(|page| key(page, "")).collect::<Result<_>>()?,
                next: (0..shape.pages).map(|page| key(page, ":next")).collect::<Result<_>>()?,
                ttl: Limits::ttl_millis("bloom", options.ttl)?,
                mirror: options.mirror.map(|age| Mirror::new(age, shape.pages as usize)),
                counters: Counters::default(),
                shape,
                store,
            }),
        })
    }

    /// Whether an id may exist; `false` only if it was not inserted.
    ///
    /// An error of the store is counted, and the answer is `true`. One round trip of 64 bytes, which a replica may answer; none with a
    /// [mirror](BloomOptions::mirror), but for one that is due: its reader asks whether the filter changed, and reads it again if so.
    #[doc(alias = "contains")]
    #[doc(alias = "might_contain")]
    pub async fn may_contain(&self, id: &str) -> bool {
        let place = self.inner.shape.place(id);
        let known = match &self.inner.mirror {
            Some(mirror) => mirror.look(&self.inner, &place).await,
            None => self.inner.ask(&place).await,
        };
        self.inner.counters.count(&known)
    }

    /// Inserts ids, also in a rebuild that is under way; where there is no filter, there is nothing to do.
    ///
    /// Call it before anybody can ask for what the ids stand for. On an error some may not be inserted, and would be called absent: insert
    /// them again, it does no harm. Dropped half way, the same. One round trip.
    #[doc(alias = "add")]
    pub async fn insert(&self, ids: &[&str]) -> Result<()> {
        let places: Vec<Place> = ids.iter().map(|id| self.inner.shape.place(id)).collect();
        self.inner.write(&places, b"", self.inner.ttl).await?;
        if let Some(mirror) = &self.inner.mirror {
            mirror.insert(&places);
        }
        Ok(())
    }

    /// Begins a filter beside the one in force, which is asked until the new one is [committed](BloomRebuild::commit).
    ///
    /// What is [inserted](Self::insert) from now on goes to both. So begin before you read the ids, and read them only once every row whose id
    /// was inserted before can be seen: a transaction that inserted, and commits after the ids are read, is in neither. Another
    /// rebuild that is under way is at an end. One round trip.
    pub async fn rebuild(&self) -> Result<BloomRebuild> {
        BloomRebuild::begin(self.inner.clone()).await
    }

    /// How full the filter is, and what it said; reads all of it, in one round trip a page.
    pub async fn stats(&self) -> Result<BloomStats> {
        self.inner.counters.read(&self.inner).await
    }
}

impl Inner {
    /// What the filter in the store says: `None` where it says nothing.
    async fn ask(&self, place: &Place) -> Result<Option<bool>> {
        let block = self.store.get_range(&self.pages[place.page], place.offset, BLOCK_BYTES).await?;
        Ok((block.len() == BLOCK_BYTES).then(|| place.is_in(&block)))
    }

    /// Sets bits, and says whether every page of the rebuild was written, if it is for one.
    async fn write(&self, places: &[Place], rebuild: &[u8], ttl: i64) -> Result<bool> {
        let mut pages: BTreeMap<usize, Vec<Arg<'_>>> = BTreeMap::new();
        for place in places {
            pages.entry(place.page).or_default().extend(place.bits().map(|bit| Arg::Int(bit as i64)));
        }
        let head = [Arg::Int(self.shape.page_bytes() as i64), Arg::Bytes(rebuild), Arg::Int(ttl)];
        let most = IDS_PER_CALL * self.shape.hashes as usize;
        let calls: Vec<([&str; 2], Vec<Arg<'_>>)> = pages
            .iter()
            .flat_map(|(page, bits)| {
                let keys = [&*self.pages[*page], &*self.next[*page]];
                bits.chunks(most).map(move |bits| (keys, [&head[..], bits].concat()))
            })
            .collect();
        if calls.is_empty() {
            return Ok(true);
        }
        let calls: Vec<_> = calls.iter().map(|(keys, args)| ScriptCall { keys, args }).collect();
        let mut all = true;
        for reply in self.store.require_scripts("bloom")?.run_many(&INSERT, &calls).await? {
            all &= reply?.into_int("bloom")? & 2 != 0;
        }
        Ok(all)
    }
}

#[async_trait]
impl Guard for BloomGuard {
    async fn may_exist(&self, id: &str) -> bool {
        self.may_contain(id).await
    }
}
