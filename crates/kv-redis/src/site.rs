use crate::{cluster::Cluster, dial::Wire, endpoint::Address, options::from_now, sentinel::Sentinels};
use redis::RedisResult;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

/// Whom to listen to.
pub(crate) enum Site {
    Server(Address),
    Master(Arc<Sentinels>),
    AnySentinel(Arc<Sentinels>),
    /// The master of a slot, or any.
    Cluster(Arc<Cluster>, Option<u16>),
    /// This master of a cluster.
    Node(Arc<Cluster>, Address),
}

/// Where a site was found, and what was heard of others since.
pub(crate) struct Found {
    pub(crate) address: Address,
    news: Option<watch::Receiver<()>>,
}

/// How long the others are asked again after one sentinel had news: they tell each other every two seconds.
const SETTLES: Duration = Duration::from_secs(10);

impl Site {
    pub(crate) async fn find(&self) -> RedisResult<Found> {
        // From before the question, so that nothing is missed between the two.
        let news = if let Self::Master(sentinels) = self { Some(sentinels.switched.subscribe()) } else { None };
        let address = match self {
            Self::Server(address) | Self::Node(_, address) => address.clone(),
            Self::Master(sentinels) => sentinels.master().await?,
            Self::AnySentinel(sentinels) => sentinels.any()?,
            Self::Cluster(cluster, slot) => cluster.address(*slot)?,
        };
        Ok(Found { address, news })
    }

    /// Makes sure that a server is what it was found as.
    pub(crate) async fn check(&self, wire: Wire) -> RedisResult<Wire> {
        match self {
            Self::Master(sentinels) => sentinels.check_role(wire, "master").await,
            _ => Ok(wire),
        }
    }

    /// Has the map of a cluster read again.
    pub(crate) fn doubt(&self) {
        if let Self::Cluster(cluster, _) | Self::Node(cluster, _) = self {
            cluster.refresh_soon();
        }
    }

    /// Returns when the sentinels have another master, even if the one before still answers.
    pub(crate) async fn replaced(&self, found: &mut Found, heartbeat: Duration) {
        let (Self::Master(sentinels), Some(news)) = (self, &mut found.news) else {
            return std::future::pending().await;
        };
        let mut settled = from_now(SETTLES);
        loop {
            let wait = if Instant::now() < settled { heartbeat } else { Duration::MAX };
            if timeout(wait, news.changed()).await.is_ok() {
                settled = from_now(SETTLES);
            }
            if sentinels.master().await.is_ok_and(|master| master != found.address) {
                return;
            }
        }
    }
}
