use super::{Cluster, Use, View, map::SlotMap, unreadable};
use crate::{endpoint::Address, options::ReadFrom, source::not_connected, stats::Counter};
use futures_util::{StreamExt, stream::FuturesUnordered};
use rand::seq::SliceRandom;
use redis::{RedisResult, Value, pipe};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout_at};

/// The least time between two readings of the map.
const REFRESH_PAUSE: Duration = Duration::from_millis(50);

impl Cluster {
    /// Reads the map again in the background, unless somebody does.
    pub(crate) fn refresh_soon(self: &Arc<Self>) {
        if self.refreshing.swap(true, Ordering::AcqRel) {
            return;
        }
        let cluster = self.clone();
        tokio::spawn(async move {
            if let Err(error) = cluster.refresh().await {
                tracing::warn!(%error, "cannot read the map of the cluster");
            }
            sleep(REFRESH_PAUSE.mul_f64(rand::random_range(0.5..1.5))).await;
            cluster.refreshing.store(false, Ordering::Release);
        });
    }

    /// Reads the map from whoever answers first and is well.
    pub(crate) async fn refresh(self: &Arc<Self>) -> RedisResult<()> {
        /// Asked at once; some may be down or slow.
        const AT_ONCE: usize = 3;
        self.dialer.counters.count(Counter::Refreshed);
        let mut known: Vec<Address> = self.view.load().map.addresses().cloned().collect();
        known.shuffle(&mut rand::rng());
        known.extend(self.seeds.iter().filter(|seed| !known.contains(seed)).cloned().collect::<Vec<_>>());
        let mut failure = not_connected("the cluster has no nodes");
        let mut unwell = None;
        for asked in known.chunks(AT_ONCE) {
            let mut answers: FuturesUnordered<_> = asked.iter().map(|address| self.ask_map(address)).collect();
            while let Some(answer) = answers.next().await {
                match answer {
                    Ok((map, true)) => {
                        self.show(map);
                        return Ok(());
                    }
                    Ok((map, false)) => unwell = Some(map),
                    Err(error) => failure = error,
                }
            }
        }
        // A cluster that is down as a whole still has a map.
        unwell.map(|map| self.show(map)).ok_or(failure)
    }

    /// The map as a node sees it, and whether the node thinks that the cluster is well.
    async fn ask_map(&self, address: &Address) -> RedisResult<(SlotMap, bool)> {
        let node = self.node(address, Use::Commands);
        let mut question = pipe();
        question.cmd("CLUSTER").arg("SLOTS").cmd("CLUSTER").arg("INFO");
        // Half, so that time is left for others when these are down.
        let by = Instant::now() + self.dialer.options.connect_timeout / 2;
        let answer = timeout_at(by, node.pipeline(&question, 0, 2, by)).await;
        let answer = answer.unwrap_or_else(|_| Err(not_connected("a node does not answer")))?;
        let [slots, info] = answer.as_slice() else { return Err(unreadable()) };
        if let Value::ServerError(error) = slots {
            return Err(error.clone().into());
        }
        let well = match info {
            Value::BulkString(text) => well(text),
            Value::VerbatimString { text, .. } => well(text.as_bytes()),
            _ => false,
        };
        Ok((SlotMap::parse(slots, address).ok_or_else(unreadable)?, well))
    }

    pub(super) fn show(&self, map: SlotMap) {
        let masters = map.shards.iter().map(|shard| self.node(&shard.master, Use::Commands)).collect();
        let replicas = map.shards.iter().map(|shard| {
            let used = self.dialer.options.read_from == ReadFrom::Replicas;
            let replicas = shard.replicas.iter().filter(|_| used);
            replicas.map(|replica| self.node(replica, Use::ReplicaReads)).collect()
        });
        let view = View { masters, replicas: replicas.collect(), map };
        let gone =
            |address: &Address| !view.map.addresses().any(|known| known == address) && !self.seeds.contains(address);
        self.nodes().retain(|(address, _), _| !gone(address));
        self.view.store(Arc::new(view));
        self.shown.send_replace(());
    }
}

fn well(info: &[u8]) -> bool {
    info.windows(16).any(|line| line == b"cluster_state:ok")
}
