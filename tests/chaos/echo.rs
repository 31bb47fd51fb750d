use crate::{
    call::{Caller, Outcome},
    window::{Suspicion, Tick},
};
use bytes::Bytes;
use kv_core::{Error, ErrorKind, Executed, KvStore, Result, SetOptions};
use kv_redis::redis::{self, RedisError, cmd, pipe};
use std::time::Duration;

/// Keys that nobody else uses, whose values follow from them: a reply to another request cannot go unseen.
pub(crate) async fn echo(mut caller: Caller, own: u64) {
    for round in 0.. {
        if !caller.goes_on() {
            return;
        }
        let keys: Vec<String> = (0..4).map(|at| format!("echo:{own}:{round}:{at}")).collect();
        match caller.dice.below(4) {
            0 => one(&mut caller, &keys[0]).await,
            1 => several(&mut caller, &keys).await,
            2 => pipeline(&mut caller, &keys).await,
            _ => raw(&mut caller, &keys[0]).await,
        }
        caller.think().await;
    }
}

/// They need not be there for longer than it takes to look.
const TTL: Duration = Duration::from_secs(30);

async fn one(caller: &mut Caller, key: &str) {
    let store = caller.store.clone();
    let value = value(key);
    let set = caller.call("set", store.set(key, value.as_bytes(), SetOptions::default().ttl(TTL))).await;
    let written = matches!(set, Outcome::Done(_)).then(|| caller.run.clock.now());
    if let Outcome::Done(reply) = caller.call("get", store.get(key)).await {
        caller.run.suspect(judge("get", key, reply.as_deref(), written));
    }
}

async fn several(caller: &mut Caller, keys: &[String]) {
    let store = caller.store.clone();
    let values: Vec<String> = keys.iter().map(|key| value(key)).collect();
    let entries: Vec<_> = keys.iter().zip(&values).map(|(key, value)| (key.as_str(), value.as_bytes())).collect();
    let set = caller.call("mset", store.mset(&entries, Some(TTL))).await;
    let written = matches!(set, Outcome::Done(())).then(|| caller.run.clock.now());
    let names: Vec<&str> = keys.iter().rev().map(String::as_str).collect();
    if let Outcome::Done(replies) = caller.call("mget", store.mget(&names)).await {
        caller.run.suspect(judge_all("mget", &names, &replies, written));
    }
}

async fn pipeline(caller: &mut Caller, keys: &[String]) {
    let mut connection = caller.store.connection();
    let mut batch = pipe();
    for key in keys {
        batch.cmd("SET").arg(key).arg(value(key)).arg("PX").arg(TTL.as_millis() as u64).ignore().cmd("GET").arg(key);
    }
    let sending = async { told(batch.query_async::<Vec<Option<Vec<u8>>>>(&mut connection).await) };
    if let Outcome::Done(replies) = caller.call("pipeline", sending).await {
        let names: Vec<&str> = keys.iter().map(String::as_str).collect();
        let replies: Vec<Option<Bytes>> = replies.into_iter().map(|reply| reply.map(Bytes::from)).collect();
        caller.run.suspect(judge_all("pipeline", &names, &replies, Some(caller.run.clock.now())));
    }
}

async fn raw(caller: &mut Caller, key: &str) {
    let mut connection = caller.store.connection();
    let mut echo = cmd("ECHO");
    echo.arg(value(key));
    let sending = async { told(echo.query_async::<Vec<u8>>(&mut connection).await) };
    if let Outcome::Done(reply) = caller.call("echo", sending).await {
        caller.run.suspect(judge("echo", key, Some(&reply), None));
    }
}

fn value(key: &str) -> String {
    format!("value of {key}")
}

/// What redis-rs says, as far as the books need it.
fn told<T>(reply: Result<T, RedisError>) -> Result<T> {
    reply.map_err(|error| {
        let known = error.is_io_error() || error.is_connection_dropped() || error.kind() == redis::ErrorKind::Io;
        let code = error.code().unwrap_or_default();
        let passing = ["LOADING", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "READONLY", "EXECABORT"].contains(&code)
            || error.detail().is_some_and(|said| said.starts_with("max number of clients"));
        if known || passing {
            Error::new(ErrorKind::Unavailable, "raw").with_executed(Executed::Maybe)
        } else {
            Error::new(ErrorKind::Rejected, "raw").with_detail(error.to_string())
        }
    })
}

/// Checks the value of a key; an acknowledged one has to be there.
fn judge(what: &str, key: &str, reply: Option<&[u8]>, written: Option<Tick>) -> Option<Suspicion> {
    match (reply, written) {
        (Some(reply), _) if reply == value(key).as_bytes() => None,
        (Some(_), _) => Some(Suspicion::certain(format!("the reply of {what} belongs to another request than {key}"))),
        (None, Some(tick)) => {
            Some(Suspicion { ticks: vec![tick], what: format!("{what} misses {key}, which was acknowledged") })
        }
        (None, None) => None,
    }
}

fn judge_all(what: &str, keys: &[&str], replies: &[Option<Bytes>], written: Option<Tick>) -> Option<Suspicion> {
    if keys.len() != replies.len() {
        return Some(Suspicion::certain(format!("{what} has {} replies to {} requests", replies.len(), keys.len())));
    }
    keys.iter().zip(replies).find_map(|(key, reply)| judge(what, key, reply.as_deref(), written))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_has_to_be_the_one_that_was_asked_for() {
        let of = |key: &str| Some(Bytes::from(value(key)));
        assert_eq!(judge_all("mget", &["a", "b"], &[of("a"), of("b")], Some(1)), None);
        assert_eq!(judge_all("mget", &["a", "b"], &[of("a"), None], None), None, "nobody said it is there");
        let missing = judge_all("mget", &["a", "b"], &[of("a"), None], Some(7)).unwrap();
        assert_eq!(missing.ticks, [7]);
        for crossed in [vec![of("b"), of("a")], vec![of("a")], vec![of("a"), of("a")]] {
            assert!(judge_all("mget", &["a", "b"], &crossed, Some(7)).unwrap().ticks.is_empty(), "{crossed:?}");
        }
    }
}
