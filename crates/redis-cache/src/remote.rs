use crate::{
    CacheOptions, WhenAway,
    away::Patience,
    clock::ServerClock,
    entry::{Body, Entry, Header, Side, Times},
    found::{Found, Stamp},
    lease::{Keys, Lease},
    news::Newsroom,
    parts::Manifest,
    stats::Counters,
    tags::Tags,
    version::Versions,
};
use bytes::Bytes;
use kv_core::{Arg, Codec, Error, ErrorKind, Keyspace, KvStore, KvStoreExt, Reply, Result, Script, Ttl};
use std::sync::Arc;

/// The cache in the store, shared by all processes.
pub(crate) struct Remote<V> {
    pub(crate) store: Arc<dyn KvStore>,
    pub(crate) codec: Box<dyn Codec<V>>,
    pub(crate) keys: Keyspace,
    pub(crate) options: CacheOptions,
    pub(crate) counters: Counters,
    pub(crate) clock: ServerClock,
    pub(crate) versions: Versions<V>,
    pub(crate) news: Newsroom,
    pub(crate) patience: Patience,
}

/// How often a value in parts is looked for again because it was replaced meanwhile.
const REPLACED: u32 = 8;

/// What a look into the store brings.
pub(crate) enum Looked<V> {
    Found(Found<V>),
    /// Nothing, or what does not decode: its mark, so that it is replaced.
    Miss(Bytes),
}

/// What an entry says by itself, or what it says of a value in parts.
type Read<V> = std::result::Result<Looked<V>, Box<Split>>;

/// What is known of a value in parts before they are read.
struct Split {
    header: Header,
    tags: Tags,
    stamp: Stamp,
    side: Side,
    manifest: Manifest,
}

impl<V> Looked<V> {
    fn is_tagged(&self) -> bool {
        matches!(self, Self::Found(found) if !found.tags.is_empty())
    }
}

impl<V> Remote<V> {
    /// What the store knows of a key, by its full name. One round trip; more for an entry with tags or in parts.
    pub(crate) async fn look(&self, key: &str) -> Result<Looked<V>> {
        let Some(bytes) = self.ask(self.store.get(key)).await? else { return Ok(Looked::Miss(Bytes::new())) };
        match self.read(bytes) {
            Ok(looked) if !looked.is_tagged() => Ok(looked),
            // Boxed, as everything that is rare: what every read carries along, it pays for.
            read => Box::pin(self.complete(key, read)).await,
        }
    }

    /// What the store knows of many keys. One round trip; one more if there are entries with tags, and more for those in parts.
    pub(crate) async fn look_many(&self, keys: &[&str]) -> Result<Vec<Looked<V>>> {
        let entries = self.ask(self.store.mget(keys)).await?;
        let mut looked = Vec::with_capacity(keys.len());
        for (key, entry) in keys.iter().zip(entries) {
            looked.push(match entry {
                None => Looked::Miss(Bytes::new()),
                Some(bytes) => match self.read(bytes) {
                    Ok(looked) => looked,
                    Err(split) => self.gather(key, split).await?,
                },
            });
        }
        self.check(looked).await
    }

    /// What the store answers, in time.
    pub(crate) async fn ask<T>(&self, question: impl Future<Output = Result<T>>) -> Result<T> {
        let answer = self.patience.ask(question).await;
        if answer.is_err() {
            self.counters.store_errors.count();
        }
        answer
    }

    /// What these bytes say of a key: a miss if they do not decode, or a tag was invalidated. No round trip, but for tags and parts.
    pub(crate) async fn open(&self, key: &str, bytes: Bytes) -> Result<Looked<V>> {
        self.complete(key, self.read(bytes)).await
    }

    /// With what is not in the entry.
    async fn complete(&self, key: &str, read: Read<V>) -> Result<Looked<V>> {
        let looked = match read {
            Ok(looked) => looked,
            Err(split) => self.gather(key, split).await?,
        };
        if looked.is_tagged() {
            let checked = self.check(vec![looked]).await?.pop();
            return Ok(checked.unwrap_or(Looked::Miss(Bytes::new())));
        }
        Ok(looked)
    }

    /// What these bytes say by themselves; what is known so far of a value in parts.
    fn read(&self, bytes: Bytes) -> Read<V> {
        let (size, mark) = (bytes.len(), bytes.first_chunk().copied());
        match (Entry::decode(bytes), mark) {
            (Ok(Entry { header, tags, body: Body::Parts(side, manifest) }), Some(mark)) => {
                let stamp = Stamp { times: header.times, mark, size };
                Err(Box::new(Split { header, tags, stamp, side, manifest }))
            }
            (Ok(entry), Some(mark)) => {
                let stamp = Stamp { times: entry.header.times, mark, size };
                Ok(self.decode(entry, stamp))
            }
            (Ok(_), None) => Ok(Looked::Miss(Bytes::new())),
            (Err(bytes), _) => Ok(Looked::Miss(Bytes::copy_from_slice(Entry::mark(&bytes)))),
        }
    }

    /// The value with its parts.
    async fn gather(&self, key: &str, mut split: Box<Split>) -> Result<Looked<V>> {
        for _ in 0..REPLACED {
            let Split { header, stamp, side, manifest, .. } = *split;
            if let Some(value) = self.read_parts(key, side, manifest).await? {
                return Ok(self.decode(Entry { header, tags: split.tags, body: Body::Whole(value) }, stamp));
            }
            // Another may have been stored meanwhile; if not, a part is lost.
            match self.ask(self.store.get(key)).await? {
                Some(newer) if Entry::mark(&newer) != stamp.mark => match self.read(newer) {
                    Ok(looked) => return Ok(looked),
                    Err(newer) => split = newer,
                },
                _ => break,
            }
        }
        Ok(Looked::Miss(Bytes::copy_from_slice(&split.stamp.mark)))
    }

    /// Misses those of which a tag was invalidated. One round trip if there are tags.
    async fn check(&self, mut looked: Vec<Looked<V>>) -> Result<Vec<Looked<V>>> {
        if looked.iter().any(Looked::is_tagged) {
            let current = self.current(&looked).await?;
            for (looked, current) in looked.iter_mut().zip(current) {
                if let Looked::Found(found) = looked
                    && !current
                {
                    *looked = Looked::Miss(Bytes::copy_from_slice(&found.stamp.mark));
                }
            }
        }
        Ok(looked)
    }

    /// Whether a read goes on without a store that fails like this.
    pub(crate) fn goes_on(&self, error: &Error) -> bool {
        let is_away = error.is_temporary() || error.kind() == ErrorKind::OutOfMemory;
        is_away && self.options.when_away == WhenAway::Load
    }

    /// Counts a read that the store answered.
    pub(crate) fn count_hit(&self, found: &Found<V>) {
        self.counters.hits.count();
        if found.value.is_none() {
            self.counters.null_hits.count();
        }
    }

    fn decode(&self, entry: Entry, stamp: Stamp) -> Looked<V> {
        match self.value(entry.header, entry.body) {
            Some((value, size)) => {
                let stamp = Stamp { size: stamp.size.max(size), ..stamp };
                Looked::Found(Found { value, stamp, tags: entry.tags })
            }
            None => Looked::Miss(Bytes::copy_from_slice(&stamp.mark)),
        }
    }

    /// The value and the bytes it takes; `None` if it is not one of this cache.
    fn value(&self, header: Header, body: Body<Bytes>) -> Option<(Option<Arc<V>>, usize)> {
        let Header { transform, codec, schema, .. } = header;
        let payload = match body {
            Body::Null => return Some((None, 0)),
            Body::Whole(payload) => payload,
            Body::Parts(..) => return None,
        };
        let size = payload.len();
        if (codec, schema) != (self.codec.id(), self.options.schema) {
            return None;
        }
        let plain = if transform == 0 {
            payload
        } else {
            let ours = self.options.transform.as_ref().filter(|ours| ours.id() == transform)?;
            ours.revert(&payload).ok()?.into()
        };
        Some((Some(Arc::new(self.codec.decode(plain).ok()?)), size))
    }

    /// The entry of a value, and how many bytes both take. No round trip, but for the parts of a large value, which are written.
    pub(crate) async fn encode(
        &self,
        keys: &Keys,
        value: Option<&V>,
        (times, ttl): (Times, i64),
        tags: &Tags,
        to: (Side, Option<&Lease>),
    ) -> Result<(Vec<u8>, usize)> {
        let header = Header { transform: 0, codec: self.codec.id(), schema: self.options.schema, times };
        let Some(value) = value else {
            let entry = header.entry(tags, Body::Null);
            let size = entry.len();
            return Ok((entry, size));
        };
        let tags = match self.versions.of(Some(value)) {
            Some(version) => &Tags([&version, &*tags.0].concat().into()),
            None => tags,
        };
        let plain = self.codec.encode(value)?;
        let transformed = match &self.options.transform {
            Some(transform) => transform.apply(&plain)?.map(|payload| (transform.id(), payload)),
            None => None,
        };
        let (header, payload) = match &transformed {
            Some((transform, payload)) => (Header { transform: *transform, ..header }, &payload[..]),
            None => (header, &plain[..]),
        };
        let body = if payload.len() > self.options.part_bytes {
            Body::Parts(to.0, self.write_parts(keys, payload, to.0, ttl, to.1).await?)
        } else {
            Body::Whole(payload)
        };
        let entry = header.entry(tags, body);
        let size = entry.len().max(payload.len());
        Ok((entry, size))
    }

    /// How long an entry that is loaded now is good for; and all that together, which is its time to live.
    pub(crate) fn times(&self, value: Option<&V>) -> (Times, i64) {
        let options = &self.options;
        let (ttl, stale) = match value {
            Some(_) => (options.ttl, options.stale_while_revalidate.max(options.stale_if_error)),
            None => (options.negative_ttl, std::time::Duration::ZERO),
        };
        let kept = 1.0 - options.ttl_jitter * rand::random::<f64>();
        let millis = |time: std::time::Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        let (fresh_for, stale_for) = (millis(ttl.mul_f64(kept)).max(1), millis(stale));
        let times = Times { fresh_for, stale_for, ..Times::default() };
        (times, i64::from(fresh_for) + i64::from(stale_for))
    }

    pub(crate) async fn run(&self, script: &Script, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
        let reply = self.store.require_scripts(script.name())?.run(script, keys, args).await;
        if reply.is_err() {
            self.counters.store_errors.count();
        }
        reply
    }

    /// What the server's clock shows, by what is left of an entry; `None` if it is gone. One round trip.
    pub(crate) async fn ask_time(&self, key: &str, times: Times) -> Option<u64> {
        let Ttl::Remaining(left) = self.store.ttl(key).await.ok()? else { return None };
        let end = times.loaded_at + u64::from(times.fresh_for) + u64::from(times.stale_for);
        let now = end.saturating_sub(u64::try_from(left.as_millis()).ok()?);
        self.clock.set(now);
        Some(now)
    }

    /// The channel as scripts have to name it.
    pub(crate) fn channel(&self) -> Arg<'_> {
        self.news.address(self.store.pubsub()).into()
    }
}
