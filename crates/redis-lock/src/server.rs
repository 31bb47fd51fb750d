use crate::{
    keys::{Keys, Kind},
    script::{ACQUIRE, ACQUIRE_ALL, ENTER, INSPECT, LOOK},
};
use kv_core::{Arg, AtomicBatch, Error, KvStore, KvStoreExt, Limits, PubSub, Reply, Result, ScriptCall, ScriptStore};
use std::{sync::Arc, time::Duration};

/// The scripts, on the store.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    store: Arc<dyn KvStore>,
    /// Whether there is one server, which then knows everybody who listens.
    is_one: bool,
}

/// What a script found under the key of a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Ours,
    Nobody,
    Another,
}

/// What an attempt to acquire found.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Attempt {
    /// The lock is ours, with all fencing tokens up to this one.
    Ours(u64),
    /// Somebody else has it, for so long; `None` for one without a lease.
    Held(Option<Duration>),
    /// The same, and the place in line is gone: it was granted, and not claimed in time.
    Passed,
}

/// Somebody who waits, or would if need be.
#[derive(Clone, Debug)]
pub(crate) struct Claimant<'a> {
    pub(crate) token: &'a str,
    pub(crate) lease: Duration,
    /// How many fencing tokens a lock reserves, or how much all in a room may weigh.
    pub(crate) count: u64,
    /// Nothing for one that does not wait.
    pub(crate) ticket: Option<&'a str>,
    /// Whether the ticket has been in line before.
    pub(crate) is_old: bool,
}

impl Server {
    pub(crate) fn new(store: Arc<dyn KvStore>, waits_for_replicas: bool) -> Result<Self> {
        store.require_scripts("lock")?;
        if waits_for_replicas {
            store.require_replication("lock")?;
        }
        let is_one = store.capabilities().atomic_batch == AtomicBatch::All;
        Ok(Self { store, is_one })
    }

    /// Whether all keys are on one server.
    pub(crate) fn is_one(&self) -> bool {
        self.is_one
    }

    pub(crate) fn pubsub(&self) -> Option<&dyn PubSub> {
        self.store.pubsub()
    }

    pub(crate) async fn acquire(&self, keys: &Keys, claimant: Claimant<'_>) -> Result<Attempt> {
        let lease = Limits::ttl_millis("acquire", claimant.lease)?;
        let count = i64::try_from(claimant.count).unwrap_or(i64::MAX);
        let (ticket, is_old) = (claimant.ticket.unwrap_or_default(), Arg::Int(i64::from(claimant.is_old)));
        let args = [claimant.token.into(), lease.into(), count.into(), ticket.into(), is_old];
        let keys_of_it = [&*keys.lock, &keys.fence, &keys.line];
        let (script, line, least) = match keys.kind {
            Kind::Lock => (&ACQUIRE, claimant.ticket.is_some(), if count == 1 { 2 } else { 3 }),
            Kind::Room => (&ENTER, true, 3),
        };
        // What is not needed is not sent: every key and every argument costs the server a part of what the lock does.
        let args = if claimant.ticket.is_some() { &args[..] } else { &args[..least] };
        let scripts = self.scripts("acquire")?;
        let mut reply = scripts.run(script, if line { &keys_of_it } else { &keys_of_it[..2] }, args).await?;
        if reply == Reply::Nil && !line {
            // Somebody waits for a lock whose lease ran out.
            reply = scripts.run(script, &keys_of_it, args).await?;
        }
        if reply == Reply::Nil {
            return Ok(Attempt::Passed);
        }
        Ok(match reply.into_int("acquire")? {
            last @ 1.. => Attempt::Ours(last.unsigned_abs()),
            0 => Attempt::Held(None),
            held => Attempt::Held(Some(Duration::from_millis(held.unsigned_abs() - 1))),
        })
    }

    /// All of these locks with their tokens, or none of them.
    pub(crate) async fn acquire_all(&self, wanted: &[(&Keys, &str)], lease: Duration) -> Result<Option<Vec<u64>>> {
        let operation = "acquire_all";
        let keys: Vec<&str> = wanted.iter().flat_map(|(keys, _)| [&*keys.lock, &keys.fence, &keys.line]).collect();
        let mut args: Vec<Arg<'_>> = vec![Limits::ttl_millis(operation, lease)?.into()];
        args.extend(wanted.iter().map(|(_, token)| Arg::from(*token)));
        let reply = self.scripts(operation)?.run(&ACQUIRE_ALL, &keys, &args).await?;
        if reply == Reply::Nil {
            return Ok(None);
        }
        let fences = reply.into_array(operation)?.into_iter();
        fences.map(|fence| Ok(fence.into_int(operation)?.unsigned_abs())).collect::<Result<_>>().map(Some)
    }

    /// Sets the lease, if the lock is the token's.
    pub(crate) async fn extend(&self, kind: Kind, lock: &str, token: &str, lease: Duration) -> Result<Found> {
        let args = [token.into(), Limits::ttl_millis("extend", lease)?.into()];
        found(self.scripts("extend")?.run(kind.extend(), &[lock], &args).await?)
    }

    /// Sets the lease, and waits for replicas to have the lock; says how many do.
    pub(crate) async fn replicate(
        &self,
        kind: Kind,
        lock: &str,
        token: &str,
        lease: Duration,
        (replicas, wait): (u32, Duration),
    ) -> Result<(Found, u32)> {
        let args = [token.into(), Limits::ttl_millis("extend", lease)?.into()];
        let replication = self.store.require_replication("acquire")?;
        let (reply, acknowledged) = replication.run_and_wait(kind.extend(), &[lock], &args, replicas, wait).await?;
        Ok((found(reply)?, acknowledged))
    }

    /// The same for many of a kind at once. With several servers each is asked by itself: one that hangs keeps no other from its answer.
    pub(crate) async fn extend_many(&self, kind: Kind, asked: &[(Arc<str>, String, Duration)]) -> Vec<Result<Found>> {
        if !self.is_one {
            return self.extend_each(kind, asked).await;
        }
        let mut args = Vec::with_capacity(asked.len());
        for (lock, token, lease) in asked {
            let millis = Limits::ttl_millis("extend", *lease).unwrap_or(i64::MAX);
            args.push(([&**lock], [token.as_str().into(), Arg::Int(millis)]));
        }
        let calls: Vec<_> = args.iter().map(|(keys, args)| ScriptCall { keys, args }).collect();
        let replies = match self.scripts("extend") {
            Ok(scripts) => scripts.run_many(kind.extend(), &calls).await,
            Err(error) => Err(error),
        };
        match replies {
            Ok(replies) => replies.into_iter().map(|reply| reply.and_then(found)).collect(),
            Err(error) => asked.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn extend_each(&self, kind: Kind, asked: &[(Arc<str>, String, Duration)]) -> Vec<Result<Found>> {
        let calls = asked.iter().map(|(lock, token, lease)| {
            let (server, lock, token, lease) = (self.clone(), lock.clone(), token.clone(), *lease);
            tokio::spawn(async move { server.extend(kind, &lock, &token, lease).await })
        });
        let calls: Vec<_> = calls.collect();
        let mut replies = Vec::with_capacity(calls.len());
        for call in calls {
            replies.push(call.await.unwrap_or_else(|_| Err(Error::invalid_config("extend", "the runtime shuts down"))));
        }
        replies
    }

    /// Gives the lock back, or the place in line with this ticket.
    pub(crate) async fn release(&self, keys: &Keys, token: &str, ticket: &str) -> Result<Found> {
        let args = [token.into(), ticket.into()];
        let args = if ticket.is_empty() { &args[..1] } else { &args[..] };
        found(self.scripts("release")?.run(keys.kind.release(), &[&keys.lock, &keys.fence, &keys.line], args).await?)
    }

    pub(crate) async fn inspect(&self, keys: &Keys) -> Result<Vec<Reply>> {
        let reply = self.scripts("inspect")?.run(&INSPECT, &[&keys.lock, &keys.fence, &keys.line], &[]).await?;
        reply.into_array("inspect")
    }

    pub(crate) async fn look(&self, keys: &Keys) -> Result<Vec<Reply>> {
        self.scripts("look")?.run(&LOOK, &[&keys.lock, &keys.line], &[]).await?.into_array("look")
    }

    fn scripts(&self, operation: &'static str) -> Result<&dyn ScriptStore> {
        self.store.require_scripts(operation)
    }
}

fn found(reply: Reply) -> Result<Found> {
    Ok(match reply.into_int("lock")? {
        1 => Found::Ours,
        0 => Found::Nobody,
        _ => Found::Another,
    })
}
