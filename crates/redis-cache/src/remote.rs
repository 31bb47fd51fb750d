use crate::{
    CacheOptions, WhenAway,
    away::Patience,
    clock::ServerClock,
    entry::{Entry, Header, Times},
    found::{Found, Stamp},
    news::Newsroom,
    stats::Counters,
    tags::Tags,
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
    pub(crate) news: Newsroom,
    pub(crate) patience: Patience,
}

/// What a look into the store brings.
pub(crate) enum Looked<V> {
    Found(Found<V>),
    /// Nothing, or what does not decode: its mark, so that it is replaced.
    Miss(Bytes),
}

impl<V> Remote<V> {
    /// What the store knows of a key, by its full name. One round trip, two for an entry with tags.
    pub(crate) async fn look(&self, key: &str) -> Result<Looked<V>> {
        let look = async {
            match self.store.get(key).await? {
                None => Ok(Looked::Miss(Bytes::new())),
                Some(bytes) => self.check(self.read(&bytes)).await,
            }
        };
        self.ask(look).await
    }

    /// What the store knows of many keys. One round trip, two if there are entries with tags.
    pub(crate) async fn look_many(&self, keys: &[&str]) -> Result<Vec<Looked<V>>> {
        let look = async {
            let read = |entry: Option<Bytes>| entry.map_or(Looked::Miss(Bytes::new()), |entry| self.read(&entry));
            self.check_many(self.store.mget(keys).await?.into_iter().map(read).collect()).await
        };
        self.ask(look).await
    }

    async fn ask<T>(&self, question: impl Future<Output = Result<T>>) -> Result<T> {
        let answer = self.patience.ask(question).await;
        if answer.is_err() {
            self.counters.store_errors.count();
        }
        answer
    }

    pub(crate) fn read(&self, bytes: &Bytes) -> Looked<V> {
        match self.decode(bytes) {
            Some(found) => Looked::Found(found),
            None => Looked::Miss(Bytes::copy_from_slice(Entry::mark(bytes))),
        }
    }

    /// The same, unless a tag of it was invalidated. One round trip for an entry with tags.
    pub(crate) async fn check(&self, looked: Looked<V>) -> Result<Looked<V>> {
        let one = self.check_many(vec![looked]).await?.pop();
        Ok(one.unwrap_or(Looked::Miss(Bytes::new())))
    }

    /// The same for many, in one round trip.
    pub(crate) async fn check_many(&self, mut looked: Vec<Looked<V>>) -> Result<Vec<Looked<V>>> {
        let found = |looked: &Looked<V>| matches!(looked, Looked::Found(found) if !found.tags.is_empty());
        if looked.iter().any(found) {
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

    fn decode(&self, bytes: &Bytes) -> Option<Found<V>> {
        let Entry { header: Header { transform, codec, schema, times }, tags, payload } = Entry::decode(bytes)?;
        let stamp = Stamp { times, mark: *bytes.first_chunk()?, size: bytes.len() };
        let Some(payload) = payload else { return Some(Found { value: None, stamp, tags }) };
        if (codec, schema) != (self.codec.id(), self.options.schema) {
            return None;
        }
        let plain = if transform == 0 {
            payload
        } else {
            let ours = self.options.transform.as_ref().filter(|ours| ours.id() == transform)?;
            ours.revert(&payload).ok()?.into()
        };
        let value = self.codec.decode(&plain).ok()?;
        Some(Found { value: Some(Arc::new(value)), stamp, tags })
    }

    pub(crate) fn encode(&self, value: Option<&V>, times: Times, tags: &Tags) -> Result<Vec<u8>> {
        let header = Header { transform: 0, codec: self.codec.id(), schema: self.options.schema, times };
        let Some(value) = value else { return Ok(header.entry(tags, None)) };
        let plain = self.codec.encode(value)?;
        if let Some(transform) = &self.options.transform
            && let Some(payload) = transform.apply(&plain)?
        {
            return Ok(Header { transform: transform.id(), ..header }.entry(tags, Some(&payload)));
        }
        Ok(header.entry(tags, Some(&plain)))
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
