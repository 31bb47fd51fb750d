pub(crate) mod batch;
pub(crate) mod map;
pub(crate) mod plan;
mod refresh;
pub(crate) mod slot;

use crate::{
    dial::Dialer,
    endpoint::Address,
    node::Node,
    options::ReadFrom,
    source::{Place, Source, not_connected},
    stats::Counter,
    target::halfway,
};
use arc_swap::ArcSwap;
use map::SlotMap;
use rand::seq::IndexedRandom;
use redis::{Cmd, Pipeline, RedisError, RedisResult, ServerErrorKind, Value, pipe};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// A cluster: one node per address, and a map of who serves what.
///
/// Nothing is sent twice but what a node says it did not execute (`MOVED`, `ASK`, `TRYAGAIN`). Whatever hints at another map has it read
/// again in the background, by one task at a time.
pub(crate) struct Cluster {
    pub(crate) dialer: Arc<Dialer>,
    seeds: Vec<Address>,
    view: ArcSwap<View>,
    nodes: Mutex<HashMap<(Address, Use), Arc<Node>>>,
    refreshing: AtomicBool,
    /// Told when the map was read or corrected.
    shown: watch::Sender<()>,
}

/// The map, and the nodes of each of its shards.
#[derive(Default)]
pub(crate) struct View {
    pub(crate) map: SlotMap,
    pub(crate) masters: Vec<Arc<Node>>,
    replicas: Vec<Vec<Arc<Node>>>,
}

/// A connection that may read from a replica says so once, so it is not the one for everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Use {
    Commands,
    ReplicaReads,
}

/// Where a command goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// To the master of a slot.
    Slot(u16),
    /// To whoever may read it.
    Read(u16),
    /// To any master.
    Any,
}

/// How often a command is sent on at once; after that there are pauses, since nobody gains by chasing a slot.
const HOPS: u32 = 2;

impl Cluster {
    pub(crate) async fn open(dialer: Arc<Dialer>, seeds: Vec<Address>) -> RedisResult<Arc<Self>> {
        let (view, nodes) = (ArcSwap::default(), Mutex::default());
        let (refreshing, shown) = (AtomicBool::new(false), watch::Sender::default());
        let cluster = Arc::new(Self { dialer, seeds, view, nodes, refreshing, shown });
        cluster.refresh().await?;
        Ok(cluster)
    }

    pub(crate) fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// Tells whenever the map was read or corrected.
    pub(crate) fn news(&self) -> watch::Receiver<()> {
        self.shown.subscribe()
    }

    /// Who serves slots, as far as is known.
    pub(crate) fn masters(&self) -> Vec<Address> {
        self.view.load().map.shards.iter().map(|shard| shard.master.clone()).collect()
    }

    /// Sends a command, and sends it on as the nodes say.
    pub(crate) async fn command(self: &Arc<Self>, route: Route, command: &Cmd, by: Instant) -> RedisResult<Value> {
        if let Route::Read(slot) = route
            && self.dialer.options.read_from == ReadFrom::Replicas
            && let Some(replica) = self.replica(slot)
            && let Ok(reply) = replica.command(command, halfway(by)).await
            && !matches!(reply, Value::ServerError(_))
        {
            return Ok(reply);
        }
        let mut node = self.owner(route)?;
        let mut asking = false;
        for hop in 0.. {
            let reply = if asking { ask(&node, command, by).await } else { node.command(command, by).await };
            let Some(next) = self.next(&reply, by, hop).await else {
                self.suspect(&reply);
                return reply.and_then(settled);
            };
            (node, asking) = match next {
                Next::Moved(slot, address) => (self.moved(slot, address), false),
                Next::Ask(address) => (self.node(&address, Use::Commands), true),
                Next::Again => (node, asking),
            };
        }
        Err(lost())
    }

    /// Sends a pipeline whose commands all belong to one node, as it is.
    pub(crate) async fn pipeline(
        self: &Arc<Self>,
        node: &Node,
        pipeline: &Pipeline,
        offset: usize,
        count: usize,
        by: Instant,
    ) -> RedisResult<Vec<Value>> {
        let replies = node.pipeline(pipeline, offset, count, by).await;
        match &replies {
            Err(_) => self.refresh_soon(),
            Ok(replies) if replies.iter().any(hints_at_change) => self.refresh_soon(),
            Ok(_) => {}
        }
        replies
    }

    /// The node a command goes to first.
    pub(crate) fn owner(self: &Arc<Self>, route: Route) -> RedisResult<Arc<Node>> {
        let view = self.view.load();
        match route {
            Route::Slot(slot) | Route::Read(slot) => {
                view.map.shard_index(slot).and_then(|at| view.masters.get(at)).cloned()
            }
            Route::Any => {
                let up: Vec<_> = view.masters.iter().filter(|node| node.is_up()).collect();
                up.choose(&mut rand::rng())
                    .map(|node| Arc::clone(node))
                    .or_else(|| view.masters.choose(&mut rand::rng()).cloned())
            }
        }
        .ok_or_else(|| {
            self.refresh_soon();
            not_connected("nobody serves this hash slot")
        })
    }

    fn replica(&self, slot: u16) -> Option<Arc<Node>> {
        let view = self.view.load();
        let replicas = view.replicas.get(view.map.shard_index(slot)?)?;
        replicas.choose(&mut rand::rng()).cloned()
    }

    /// Where a reply sends its command; `None` when it is final, or there is no time left.
    async fn next(&self, reply: &RedisResult<Value>, by: Instant, hop: u32) -> Option<Next> {
        let Ok(Value::ServerError(error)) = reply else { return None };
        let (kind, details) = (error.kind()?, error.details().unwrap_or_default());
        let next = match kind {
            ServerErrorKind::Moved | ServerErrorKind::Ask => {
                self.dialer.counters.count(Counter::Redirected);
                let (slot, address) = details.split_once(' ')?;
                let address = Address::parse_from(address, self.seeds.first()?)?;
                let asked = kind == ServerErrorKind::Ask;
                if asked { Next::Ask(address) } else { Next::Moved(slot.parse().ok()?, address) }
            }
            // Some keys of the command are here and some are there: it works once they are together again.
            ServerErrorKind::TryAgain => Next::Again,
            _ => return None,
        };
        if hop >= HOPS || matches!(next, Next::Again) {
            let pause = Duration::from_millis(u64::from(hop.min(15) + 1) * 4).mul_f64(rand::random_range(0.5..1.0));
            let until = Instant::now() + pause;
            // Sent on at the last moment, it would have no time left for its answer, and nobody would know what became of it.
            (until + self.dialer.options.deadline / 4 < by).then_some(())?;
            sleep_until(until).await;
        }
        Some(next)
    }

    fn moved(self: &Arc<Self>, slot: u16, master: Address) -> Arc<Node> {
        let node = self.node(&master, Use::Commands);
        let view = self.view.load_full();
        if view.map.shard(slot).is_none_or(|shard| shard.master != master) {
            self.show(view.map.with_moved(slot, master));
            self.refresh_soon();
        }
        node
    }

    /// The node at an address: the one there is, or a new one.
    fn node(&self, address: &Address, usage: Use) -> Arc<Node> {
        let place = match usage {
            Use::Commands => Place::Server,
            Use::ReplicaReads => Place::Replica,
        };
        let open = || Node::new(Source::new(self.dialer.clone(), place(address.clone())));
        self.nodes().entry((address.clone(), usage)).or_insert_with(open).clone()
    }

    fn nodes(&self) -> MutexGuard<'_, HashMap<(Address, Use), Arc<Node>>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All nodes there are connections to.
    pub(crate) fn all_nodes(&self) -> Vec<Arc<Node>> {
        self.nodes().values().cloned().collect()
    }

    /// The node of a slot's master for connections of one's own, by address.
    pub(crate) fn address(self: &Arc<Self>, slot: Option<u16>) -> RedisResult<Address> {
        let view = self.view.load();
        let shard = match slot {
            Some(slot) => view.map.shard(slot),
            None => view.map.shards.choose(&mut rand::rng()),
        };
        shard.map(|shard| shard.master.clone()).ok_or_else(|| {
            self.refresh_soon();
            not_connected("nobody serves this hash slot")
        })
    }

    fn suspect(self: &Arc<Self>, reply: &RedisResult<Value>) {
        if reply.as_ref().map_or(true, hints_at_change) {
            self.refresh_soon();
        }
    }
}

enum Next {
    Moved(u16, Address),
    Ask(Address),
    Again,
}

/// Sends a command to the node that is about to take over its slot.
async fn ask(node: &Node, command: &Cmd, by: Instant) -> RedisResult<Value> {
    let mut asking = pipe();
    asking.cmd("ASKING").add_command(command.clone());
    let replies = node.pipeline(&asking, 1, 1, by).await?;
    replies.into_iter().next().ok_or_else(unreadable)
}

/// A redirection that could not be followed in time is no answer; nothing was executed.
fn settled(reply: Value) -> RedisResult<Value> {
    if batch::is_redirect(&reply) { Err(lost()) } else { Ok(reply) }
}

fn lost() -> RedisError {
    not_connected("the hash slot is on its way for too long")
}

fn hints_at_change(reply: &Value) -> bool {
    use ServerErrorKind::{ClusterDown, MasterDown, Moved, ReadOnly};
    matches!(reply, Value::ServerError(error) if matches!(error.kind(), Some(ClusterDown | MasterDown | Moved | ReadOnly)))
}

fn unreadable() -> RedisError {
    (redis::ErrorKind::Parse, "a node's answer cannot be read").into()
}
