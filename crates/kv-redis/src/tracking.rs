mod masters;

use crate::{
    RedisStore,
    home::Kind,
    site::Site,
    subscriber::{Subscriber, Wish},
};
use async_trait::async_trait;
use kv_core::{Error, ErrorKind, Feed, KeyChanges, Result, Tracking};
use redis::{Cmd, PushInfo, PushKind, Value, cmd};
use std::sync::Arc;

#[async_trait]
impl Tracking for RedisStore {
    /// `CLIENT TRACKING … BCAST` on a connection of its own, in RESP3 (Redis 6.0 and later); in a cluster on one to each master.
    ///
    /// A lost link is opened again until the subscription is dropped. A link that fell silent is found within `heartbeat + deadline`,
    /// a master that joined the cluster within about `heartbeat`: each is a gap then. A server tracks in all its databases
    /// at once: a key that changes in another is reported, too. What `SWAPDB` does is not.
    async fn track(&self, prefixes: &[&str]) -> Result<KeyChanges> {
        self.limits().check_prefixes("track", prefixes)?;
        let home = self.require_home("track")?;
        let (dialer, wish) = (home.dialer.clone(), Arc::new(Changes { prefixes: shortest(prefixes) }));
        let tracked = match &home.kind {
            Kind::Server(address, _) => {
                Subscriber { dialer, site: Site::Server(address.clone()), wish }.start("track").await
            }
            Kind::Sentinel(sentinels, _) => {
                Subscriber { dialer, site: Site::Master(sentinels.clone()), wish }.start("track").await
            }
            Kind::Cluster(cluster) => masters::track(cluster.clone(), wish).await,
        };
        tracked.map_err(|error| match error.kind() {
            // Older servers, and services that leave it out, know no such command.
            ErrorKind::Rejected => Error::new(ErrorKind::Unsupported, "track")
                .with_detail("the server cannot track keys")
                .with_source(error),
            _ => error,
        })
    }
}

/// Keys that change, by how they begin.
struct Changes {
    prefixes: Vec<String>,
}

impl Wish for Changes {
    type Item = Arc<str>;

    fn commands(&self) -> Vec<Cmd> {
        let mut track = cmd("CLIENT");
        track.arg("TRACKING").arg("ON").arg("BCAST");
        for prefix in &self.prefixes {
            track.arg("PREFIX").arg(prefix);
        }
        vec![track]
    }

    fn receive(&self, push: PushInfo, feed: &Feed<Arc<str>>) -> bool {
        if push.kind != PushKind::Invalidate {
            return true;
        }
        match push.data.into_iter().next() {
            Some(Value::Array(keys)) => {
                for key in keys {
                    if let Value::BulkString(key) = key
                        && let Ok(key) = std::str::from_utf8(&key)
                    {
                        feed.deliver(key.into());
                    }
                }
            }
            // Nothing stands for everything: a flush.
            _ => drop(feed.gap()),
        }
        true
    }
}

/// The prefixes without those that begin with another one, which a server refuses.
fn shortest(prefixes: &[&str]) -> Vec<String> {
    let mut sorted = prefixes.to_vec();
    sorted.sort_unstable();
    // What begins with a prefix comes right after it, or after others that do.
    sorted.dedup_by(|longer, shorter| longer.starts_with(*shorter));
    sorted.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_prefixes_that_overlap_the_shortest_is_left() {
        assert_eq!(shortest(&["a:b", "b", "a:", "a:", "a:c:d", "ab", "c"]), ["a:", "ab", "b", "c"]);
        assert_eq!(shortest(&["a!", "a", "a b", "b"]), ["a", "b"]);
        assert_eq!(shortest(&["a", ""]), [""]);
    }

    #[test]
    fn a_push_is_some_keys_or_everything() {
        let (wish, (feed, mut changes)) = (Changes { prefixes: shortest(&[""]) }, KeyChanges::new(()));
        let bytes = |bytes: &[u8]| Value::BulkString(bytes.to_vec());
        let receive = |kind, data| wish.receive(PushInfo { kind, data }, &feed);
        assert!(receive(PushKind::Invalidate, vec![Value::Array(vec![bytes(b"a"), bytes(b"\xff"), bytes(b"b")])]));
        assert!(receive(PushKind::Message, vec![bytes(b"a"), bytes(b"b")]));
        assert!(receive(PushKind::Invalidate, vec![Value::Nil]));
        let mut next = || futures_util::FutureExt::now_or_never(changes.next_event()).flatten();
        let seen: Vec<_> = std::iter::from_fn(&mut next).collect();
        use kv_core::Event::{Gap, Message};
        assert_eq!(seen, [Message("a".into()), Message("b".into()), Gap]);
    }
}
