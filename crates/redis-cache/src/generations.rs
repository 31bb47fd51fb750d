use crate::{
    CacheError,
    message::Kind,
    remote::{Looked, Remote},
    script::{GENERATION, RENEW},
    tags::{Generation, Tags},
};
use kv_core::{Arg, Error, ErrorKind, KvStoreExt, Limits, Reply, Result, ScriptCall};
use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

impl<V> Remote<V> {
    /// Where the generation of a tag is kept; the tag without a name is that of all entries.
    pub(crate) fn tag_key(&self, tag: &str) -> Result<String> {
        if tag.is_empty() { self.keys.key("all", "all") } else { self.keys.key(tag, "tag") }
    }

    /// The tags of an entry whose load begins now. One round trip, none without tags.
    pub(crate) async fn capture(&self, tags: &[String]) -> Result<Tags> {
        if tags.is_empty() {
            return Ok(Tags::default());
        }
        let keys = tags.iter().map(|tag| self.tag_key(tag)).collect::<Result<Vec<_>>>()?;
        let (fresh, ttl) = (rand::random::<Generation>(), self.tag_ttl()?);
        let args = [Arg::Bytes(&fresh), Arg::Int(ttl)];
        let keys: Vec<[&str; 1]> = keys.iter().map(|key| [key.as_str()]).collect();
        let calls: Vec<_> = keys.iter().map(|key| ScriptCall { keys: key, args: &args }).collect();
        let replies = self.store.require_scripts(GENERATION.name())?.run_many(&GENERATION, &calls).await?;
        let mut generations = Vec::with_capacity(tags.len());
        for (tag, reply) in tags.iter().zip(replies) {
            generations.push((tag.as_str(), generation(reply?)?));
        }
        Ok(Tags::encode(generations.into_iter()))
    }

    /// Which of these have no tag that was invalidated since their load began. One round trip.
    pub(crate) async fn current(&self, looked: &[Looked<V>]) -> Result<Vec<bool>> {
        let tags = |looked: &'_ Looked<V>| match looked {
            Looked::Found(found) => found.tags.clone(),
            Looked::Miss(_) => Tags::default(),
        };
        let entries: Vec<Tags> = looked.iter().map(tags).collect();
        let names: BTreeSet<&str> = entries.iter().flat_map(Tags::iter).flatten().map(|(name, _)| name).collect();
        let keys = names.iter().map(|tag| self.tag_key(tag)).collect::<Result<Vec<_>>>()?;
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let generations = self.ask(self.store.mget(&keys)).await?;
        let now: HashMap<&str, &[u8]> =
            names.into_iter().zip(&generations).filter_map(|(name, now)| Some((name, &**now.as_ref()?))).collect();
        let is_current = |tag: Option<(&str, Generation)>| {
            tag.is_some_and(|(name, generation)| now.get(name).is_some_and(|now| **now == generation))
        };
        Ok(entries.iter().map(|tags| tags.iter().all(is_current)).collect())
    }

    /// Forgets all entries with a tag. One round trip.
    pub(crate) async fn renew(&self, tag: &str) -> Result<(), CacheError> {
        let (key, message) = (self.tag_key(tag)?, Kind::Renewed.of(tag, b""));
        let generation = rand::random::<Generation>();
        let args = [Arg::Bytes(&generation), Arg::Int(self.tag_ttl()?), self.channel(), Arg::Bytes(&message)];
        self.run(&RENEW, &[&key], &args).await?;
        Ok(())
    }

    /// Longer than any entry lives that is loaded now.
    fn tag_ttl(&self) -> Result<i64> {
        let options = &self.options;
        let stale = options.stale_while_revalidate.max(options.stale_if_error);
        let longest = options.ttl.max(options.negative_ttl) + stale + options.load_timeout;
        Limits::ttl_millis("cache", longest + Duration::from_secs(60))
    }
}

fn generation(reply: Reply) -> Result<Generation> {
    let Reply::Bytes(bytes) = reply else { return Err(Error::new(ErrorKind::UnexpectedReply, GENERATION.name())) };
    (*bytes)
        .try_into()
        .map_err(|_| Error::new(ErrorKind::Corrupt, GENERATION.name()).with_detail("key holds no generation"))
}
