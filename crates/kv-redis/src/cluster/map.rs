use crate::{cluster::slot::SLOTS, endpoint::Address};
use redis::Value;
use std::sync::Arc;

/// Which shard serves which slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SlotMap {
    /// The index of its shard for each slot.
    owners: Vec<Option<u16>>,
    pub(crate) shards: Vec<Shard>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    pub(crate) master: Address,
    pub(crate) replicas: Arc<[Address]>,
}

impl SlotMap {
    /// Reads the reply to `CLUSTER SLOTS` of this node.
    pub(crate) fn parse(reply: &Value, asked: &Address) -> Option<Self> {
        let mut map = Self { owners: vec![None; usize::from(SLOTS)], shards: Vec::new() };
        for range in array(reply)? {
            let [first, last, master, replicas @ ..] = array(range)? else { return None };
            let (first, last) = (integer(first)?, integer(last)?);
            let shard = Shard {
                master: node(master, asked)?,
                replicas: replicas.iter().filter_map(|replica| node(replica, asked)).collect(),
            };
            let index = map.index_of(shard)?;
            map.owners.get_mut(usize::try_from(first).ok()?..=usize::try_from(last).ok()?)?.fill(Some(index));
        }
        Some(map)
    }

    pub(crate) fn shard(&self, slot: u16) -> Option<&Shard> {
        self.shards.get(self.shard_index(slot)?)
    }

    pub(crate) fn shard_index(&self, slot: u16) -> Option<usize> {
        self.owners.get(usize::from(slot))?.map(usize::from)
    }

    /// The same, but one slot belongs to another master.
    pub(crate) fn with_moved(&self, slot: u16, master: Address) -> Self {
        let mut map = self.clone();
        let index = map.index_of(Shard { master, replicas: Arc::default() });
        if let Some(owner) = map.owners.get_mut(usize::from(slot)) {
            *owner = index;
        }
        map
    }

    /// All addresses, masters first.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &Address> {
        let replicas = self.shards.iter().flat_map(|shard| shard.replicas.iter());
        self.shards.iter().map(|shard| &shard.master).chain(replicas)
    }

    fn index_of(&mut self, shard: Shard) -> Option<u16> {
        let known = self.shards.iter().position(|known| known.master == shard.master);
        let index = known.unwrap_or_else(|| {
            self.shards.push(shard);
            self.shards.len() - 1
        });
        u16::try_from(index).ok()
    }
}

fn array(value: &Value) -> Option<&[Value]> {
    if let Value::Array(items) = value { Some(items) } else { None }
}

fn integer(value: &Value) -> Option<i64> {
    if let Value::Int(integer) = value { Some(*integer) } else { None }
}

/// `[host, port, id, …]`; a node that does not know its own name says nothing, or `?`.
fn node(value: &Value, asked: &Address) -> Option<Address> {
    let [host, port, ..] = array(value)? else { return None };
    let host = match host {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok()?,
        Value::SimpleString(text) => text,
        _ => "",
    };
    Address::parse_from(&format!("{host}:{}", integer(port)?), asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: i64, last: i64, ports: &[i64]) -> Value {
        let node = |port: &i64| Value::Array(vec![Value::BulkString(b"h".to_vec()), Value::Int(*port)]);
        let mut range = vec![Value::Int(first), Value::Int(last)];
        range.extend(ports.iter().map(node));
        Value::Array(range)
    }

    #[test]
    fn a_map_is_read_and_patched() {
        let asked = Address::tcp("a", 1);
        let reply = Value::Array(vec![range(0, 99, &[1, 11]), range(200, 16_383, &[2]), range(100, 199, &[1, 11])]);
        let map = SlotMap::parse(&reply, &asked).unwrap();
        assert_eq!(map.shards.len(), 2);
        assert_eq!(map.shard(150).unwrap().master, Address::tcp("h", 1));
        assert_eq!(map.shard(16_383).unwrap().replicas.len(), 0);
        let moved = map.with_moved(5, Address::tcp("h", 3));
        assert_eq!(moved.shard(5).unwrap().master, Address::tcp("h", 3));
        assert_eq!(moved.shard(6), map.shard(6));
        assert_eq!(map.addresses().count(), 3);
    }

    #[test]
    fn what_cannot_be_read_is_no_map() {
        let asked = Address::tcp("a", 1);
        for reply in [
            Value::Nil,
            Value::Array(vec![range(0, 16_384, &[1])]),
            Value::Array(vec![range(-1, 5, &[1])]),
            Value::Array(vec![range(9, 3, &[1])]),
            Value::Array(vec![range(0, 5, &[70_000])]),
            Value::Array(vec![Value::Nil]),
        ] {
            assert_eq!(SlotMap::parse(&reply, &asked), None, "{reply:?}");
        }
        let nobody = SlotMap::parse(&Value::Array(vec![]), &asked).unwrap();
        assert_eq!(nobody.shard(0), None);
    }
}
