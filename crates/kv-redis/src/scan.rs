use crate::{
    RedisStore,
    error::classify,
    options::from_now,
    source::not_connected,
    target::{Target, Touch},
};
use async_trait::async_trait;
use kv_core::{Cursor, Error, ErrorKind, Page, Result, ScanStore};
use redis::{Value, cmd, from_redis_value};

#[async_trait]
impl ScanStore for RedisStore {
    /// In a cluster the masters are walked one after the other. One that is gone by then, or was replaced, ends the walk with
    /// [`ErrorKind::Unavailable`](kv_core::ErrorKind::Unavailable): its successor does not know the cursor.
    async fn scan_page(&self, prefix: &str, cursor: &Cursor, count: u32) -> Result<Page> {
        let mut scan = cmd("SCAN");
        scan.arg(cursor.position()).arg("MATCH").arg(pattern(prefix)).arg("COUNT").arg(count.max(1));
        let (reply, place) = match self.target() {
            Target::Cluster(cluster) => {
                let view = cluster.view();
                let masters: Vec<String> = view.map.shards.iter().map(|shard| shard.master.to_string()).collect();
                let mut order: Vec<usize> = (0..masters.len()).collect();
                order.sort_by_key(|at| masters.get(*at));
                let at = match cursor.place() {
                    "" => order.first().copied(),
                    place => order.iter().copied().find(|at| masters.get(*at).is_some_and(|master| master == place)),
                };
                let gone = || classify("scan", &not_connected("the node of this cursor is gone: begin again"));
                let (at, node) = at.and_then(|at| Some((at, view.masters.get(at)?))).ok_or_else(gone)?;
                let reply = node.command(&scan, from_now(self.options().deadline)).await;
                let next = order.iter().skip_while(|known| **known != at).nth(1).and_then(|at| masters.get(*at));
                (reply, masters.get(at).cloned().map(|own| (own, next.cloned())))
            }
            target => (target.command(Touch::Nothing, &scan, from_now(self.options().deadline)).await, None),
        };
        let value = reply.and_then(server_error).map_err(|error| classify("scan", &error))?;
        let unreadable = |_| Error::new(ErrorKind::UnexpectedReply, "scan");
        let (position, keys): (u64, Vec<Vec<u8>>) = from_redis_value(value).map_err(unreadable)?;
        let keys = keys.into_iter().filter_map(|key| String::from_utf8(key).ok()).collect();
        let next = match (position, place) {
            (0, None) => None,
            (0, Some((_, next))) => next.map(|next| Cursor::new(next, 0)),
            (position, place) => Some(Cursor::new(place.map(|(own, _)| own).unwrap_or_default(), position)),
        };
        Ok(Page { keys, next })
    }
}

fn server_error(value: Value) -> redis::RedisResult<Value> {
    if let Value::ServerError(error) = value { Err(error.into()) } else { Ok(value) }
}

/// The glob that matches what begins with a text.
fn pattern(prefix: &str) -> String {
    let mut pattern = String::with_capacity(prefix.len() + 1);
    for letter in prefix.chars() {
        if matches!(letter, '*' | '?' | '[' | ']' | '\\' | '^' | '-') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern.push('*');
    pattern
}
