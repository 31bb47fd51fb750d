//! The checker of histories itself: it finds each store in which a script breaks its promise, and none in which all keep theirs.

use super::history::{KEYS, TIME, Way, history};
use crate::scripted::Scripted;
use async_trait::async_trait;
use kv_core::{Arg, KvStore, MemoryStore, Reply, Result, Script, ScriptCall, ScriptStore, SetOptions};
use redis_cache::{Cache, CacheOptions};
use std::{sync::Arc, time::Duration};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mutation {
    Nothing,
    /// What was loaded is stored, whoever has the lease.
    CommitsAnyway,
    /// A load that goes on may store.
    InvalidationKeepsTheLease,
    InvalidationKeepsTheEntry,
    /// Its entries stay.
    TagStands,
    /// A tag that is asked for has another generation than before it: whoever stores with it knows of no invalidation.
    TagIsReadLate,
}

#[derive(Debug)]
struct Mutant {
    store: MemoryStore,
    mutation: Mutation,
}

#[async_trait]
impl ScriptStore for Mutant {
    async fn run(&self, script: &Script, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
        let minute = SetOptions::default().ttl(Duration::from_secs(60));
        match (self.mutation, script.name()) {
            (Mutation::CommitsAnyway, "redis-cache/commit") => {
                self.store.set(keys[1], &args[0].to_bytes(), minute).await?;
            }
            (Mutation::InvalidationKeepsTheLease, "redis-cache/invalidate") => {
                return Ok(Reply::Int(self.store.delete(&[keys[0]]).await?.cast_signed()));
            }
            (Mutation::InvalidationKeepsTheEntry, "redis-cache/invalidate") => {
                self.store.delete(&[keys[1]]).await?;
                return Ok(Reply::Int(1));
            }
            (Mutation::TagStands, "redis-cache/renew") => return Ok(Reply::Int(1)),
            // The entry is given the generation that its tag has now.
            (Mutation::TagIsReadLate, "redis-cache/commit") => {
                let tag = keys[0].replace(":{", ":{tag-") + ":tag";
                let mut entry = args[1].to_bytes().into_owned();
                if let Some(generation) = self.store.get(&tag).await?
                    && let Some(place) = entry.get_mut(34..42)
                {
                    place.copy_from_slice(&generation);
                }
                let args = [&[args[0], Arg::Bytes(&entry)], &args[2..]].concat();
                return self.store.run(script, keys, &args).await;
            }
            _ => {}
        }
        self.store.run(script, keys, args).await
    }

    async fn run_many(&self, script: &Script, calls: &[ScriptCall<'_>]) -> Result<Vec<Result<Reply>>> {
        self.store.run_many(script, calls).await
    }
}

/// Whether a history on such a store shows what was invalidated.
async fn is_found_out(mutation: Mutation, way: Way) -> bool {
    let store = MemoryStore::new();
    let store = Scripted::by(Arc::new(store.clone()), Some(Mutant { store, mutation }));
    let caches: Vec<_> = (0..4).map(|_| Cache::<u64>::new(store.clone(), CacheOptions::default()).unwrap()).collect();
    // Its last panic is the verdict.
    tokio::spawn(history(caches, [way; KEYS], false, TIME)).await.is_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_breaks_its_promise_is_found_out() {
    let ways = |mutation| match mutation {
        Mutation::Nothing => &[Way::Invalidate, Way::Tag][..],
        Mutation::TagStands | Mutation::TagIsReadLate => &[Way::Tag],
        Mutation::CommitsAnyway => &[Way::Invalidate, Way::Update],
        Mutation::InvalidationKeepsTheLease | Mutation::InvalidationKeepsTheEntry => &[Way::Invalidate],
    };
    for mutation in [
        Mutation::Nothing,
        Mutation::CommitsAnyway,
        Mutation::InvalidationKeepsTheLease,
        Mutation::InvalidationKeepsTheEntry,
        Mutation::TagStands,
        Mutation::TagIsReadLate,
    ] {
        for way in ways(mutation) {
            assert_eq!(is_found_out(mutation, *way).await, mutation != Mutation::Nothing, "{mutation:?} by {way:?}");
        }
    }
}
