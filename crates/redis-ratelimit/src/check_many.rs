use crate::{
    RateLimiter,
    bucket::{self, Bucket},
};
use kv_core::{
    Arg, AtomicBatch, Error, ErrorKind, Executed, KvStoreExt, Reply, Result, Script, ScriptCall, TwinContext,
};
use std::collections::HashMap;

pub(crate) static CHECK_MANY: Script =
    Script::new("redis-ratelimit/check_many", include_str!("../lua/check_many.lua"), check_many);

/// Requests for the same cost from the same bucket with none for another cost between them.
struct Run<'a> {
    key: &'a str,
    cost: i64,
    count: i64,
}

impl RateLimiter {
    /// What [`room`](Self::room) would say of each key and cost, one after the other.
    ///
    /// One round trip; on one server, one script. Several nodes get a script for each bucket.
    pub(crate) async fn rooms(&self, asked: &[(&str, i64)]) -> Result<Vec<Result<i64>>> {
        let (runs, places) = runs(asked);
        let replies = match self.store().capabilities().atomic_batch {
            AtomicBatch::All => self.ask_once(&runs).await?,
            _ => self.ask_each(&runs).await?,
        };
        Ok(places.into_iter().map(|(run, place)| room(&runs, &replies, run, place)).collect())
    }

    /// The room in a bucket before so many requests for the same cost, of which as many were admitted as fit. One round trip.
    pub(crate) async fn room_before(&self, key: &str, cost: i64, count: u64) -> Result<i64> {
        let runs = [Run { key, cost, count: i64::try_from(count).unwrap_or(i64::MAX) }];
        match self.ask_once(&runs).await?.pop() {
            Some(Ok(Reply::Int(room))) => Ok(self.gcra()?.room(room)),
            Some(Ok(Reply::Bytes(code))) => Err(fault(&code)),
            _ => Err(unexpected()),
        }
    }

    async fn ask_once(&self, runs: &[Run<'_>]) -> Result<Vec<Result<Reply>>> {
        let keys: Vec<&str> = runs.iter().map(|run| run.key).collect();
        let mut args = Vec::with_capacity(5 + 2 * runs.len());
        args.extend(self.fixed()?);
        args.extend(runs.iter().flat_map(|run| [Arg::Int(run.cost), Arg::Int(run.count)]));
        args.extend(self.gcra()?.beyond());
        let reply = self.store().require_scripts(CHECK_MANY.name())?.run(&CHECK_MANY, &keys, &args).await?;
        Ok(reply.into_array(CHECK_MANY.name())?.into_iter().map(Ok).collect())
    }

    /// Runs of one bucket stay in order: they go to one node, on one connection or one after the other.
    async fn ask_each(&self, runs: &[Run<'_>]) -> Result<Vec<Result<Reply>>> {
        let mut of_key: HashMap<&str, Vec<usize>> = HashMap::new();
        runs.iter().enumerate().for_each(|(at, run)| of_key.entry(run.key).or_default().push(at));
        let groups: Vec<Vec<usize>> = of_key.into_values().collect();
        let keys: Vec<Vec<&str>> =
            groups.iter().map(|group| group.iter().filter_map(|at| Some(runs.get(*at)?.key)).collect()).collect();
        let (fixed, beyond) = (self.fixed()?, self.gcra()?.beyond());
        let of = |group: &Vec<usize>| {
            let costs = group.iter().filter_map(|at| runs.get(*at));
            let costs = costs.flat_map(|run| [Arg::Int(run.cost), Arg::Int(run.count)]);
            fixed.into_iter().chain(costs).chain(beyond).collect()
        };
        let args: Vec<Vec<Arg<'_>>> = groups.iter().map(of).collect();
        let calls: Vec<ScriptCall<'_>> = keys.iter().zip(&args).map(|(keys, args)| ScriptCall { keys, args }).collect();
        let answers = self.store().require_scripts(CHECK_MANY.name())?.run_many(&CHECK_MANY, &calls).await?;
        let mut replies: Vec<Result<Reply>> = runs.iter().map(|_| Err(unexpected())).collect();
        for (group, answer) in groups.iter().zip(answers) {
            let answer = answer.and_then(|reply| reply.into_array(CHECK_MANY.name()));
            for (place, at) in group.iter().enumerate() {
                if let Some(reply) = replies.get_mut(*at) {
                    *reply = answer.clone().and_then(|rooms| rooms.get(place).cloned().ok_or_else(unexpected));
                }
            }
        }
        Ok(replies)
    }

    fn fixed(&self) -> Result<[Arg<'static>; 4]> {
        let gcra = self.gcra()?;
        Ok([Arg::Int(gcra.capacity), Arg::Int(gcra.per_micro), Arg::Int(gcra.ttl_millis()), Arg::Bytes(b"")])
    }
}

/// The runs, and of each request its run and its place in it.
fn runs<'a>(asked: &[(&'a str, i64)]) -> (Vec<Run<'a>>, Vec<(usize, i64)>) {
    let (mut runs, mut places) = (Vec::<Run<'a>>::with_capacity(asked.len()), Vec::with_capacity(asked.len()));
    let mut last_of: HashMap<&str, usize> = HashMap::with_capacity(asked.len());
    for &(key, cost) in asked {
        let last = last_of.get(key).and_then(|at| Some((*at, runs.get_mut(*at)?)));
        if let Some((at, run)) = last.filter(|(_, run)| run.cost == cost) {
            places.push((at, run.count));
            run.count += 1;
            continue;
        }
        last_of.insert(key, runs.len());
        places.push((runs.len(), 0));
        runs.push(Run { key, cost, count: 1 });
    }
    (runs, places)
}

/// The room that a request of a run leaves; negative if it is denied: what is lacking.
fn room(runs: &[Run<'_>], replies: &[Result<Reply>], run: usize, place: i64) -> Result<i64> {
    let (Some(Run { cost, .. }), Some(reply)) = (runs.get(run), replies.get(run)) else { return Err(unexpected()) };
    match reply {
        Ok(Reply::Int(before)) => {
            // As many before it as fit were admitted.
            let taken = if *cost > 0 { place.min(before.max(&0) / cost) } else { 0 };
            Ok(before - (taken + 1) * cost)
        }
        Ok(Reply::Bytes(code)) => Err(fault(code)),
        Ok(_) => Err(unexpected()),
        Err(error) => Err(error.clone()),
    }
}

/// What a bucket that cannot be read is for the one who asked for it; the others are none the worse for it.
fn fault(code: &[u8]) -> Error {
    let of = |kind| Error::new(kind, CHECK_MANY.name()).with_executed(Executed::No);
    match code {
        b"WRONGTYPE" => of(ErrorKind::WrongType),
        b"CORRUPT" => of(ErrorKind::Corrupt).with_detail("key holds no bucket"),
        _ => of(ErrorKind::Rejected),
    }
}

fn unexpected() -> Error {
    Error::new(ErrorKind::UnexpectedReply, CHECK_MANY.name())
}

fn check_many(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    let Some((&[capacity, rate, ttl, now], runs)) = args.split_first_chunk() else { return Err(Error::wrong_arity()) };
    let Some((runs, beyond)) = runs.split_at_checked(keys.len() * 2) else { return Err(Error::wrong_arity()) };
    let (capacity, rate, ttl) = (capacity.to_int()?, rate.to_int()?, ttl.to_int()?);
    let (most, now) = (bucket::most(capacity, beyond)?, bucket::now(store, now)?);
    let mut rooms = Vec::with_capacity(keys.len());
    for (key, run) in keys.iter().zip(runs.chunks_exact(2)) {
        let &[cost, count] = run else { return Err(Error::wrong_arity()) };
        let (cost, count) = (cost.to_int()?, count.to_int()?);
        let bucket = match Bucket::load(store, key, most, rate, now) {
            Ok(bucket) => bucket,
            Err(error) => {
                rooms.push(Reply::Bytes(
                    if error.kind() == ErrorKind::Corrupt { "CORRUPT" } else { "WRONGTYPE" }.into(),
                ));
                continue;
            }
        };
        let room = capacity - bucket.level;
        rooms.push(Reply::Int(room));
        let taken = if cost > 0 { count.min(room.max(0) / cost) } else { 0 };
        if taken > 0 || (bucket.clamped && cost > 0) {
            Bucket::store(store, key, bucket.level + taken * cost, rate, now, ttl);
        }
    }
    Ok(Reply::Array(rooms))
}
