use crate::{
    RedisOptions,
    cluster::Cluster,
    dial::Dialer,
    endpoint::{Address, Endpoint, Topology},
    node::Node,
    options::ReadFrom,
    sentinel::Sentinels,
    source::{Place, Source},
    subscriber::follow_master,
    target::Target,
    transport::Tls,
};
use kv_core::Result;
use redis::{RedisConnectionInfo, RedisResult};
use std::sync::Arc;
use tokio::{sync::watch, task::AbortHandle};

/// Where a store opens connections of its own.
pub(crate) struct Home {
    pub(crate) dialer: Arc<Dialer>,
    pub(crate) kind: Kind,
    replica: Option<Arc<Node>>,
    /// The task that listens to the sentinels.
    follower: Option<AbortHandle>,
}

pub(crate) enum Kind {
    Server(Address, Arc<Node>),
    Sentinel(Arc<Sentinels>, Arc<Node>),
    Cluster(Arc<Cluster>),
}

impl Home {
    /// What a URL names; nothing is connected but, for its map, a cluster.
    pub(crate) async fn open(url: &str, options: RedisOptions) -> Result<Self> {
        options.check()?;
        let Endpoint { topology, tls, settings } = Endpoint::parse(url)?;
        let tls = if tls { Some(encryption(&options)?) } else { None };
        let dialer = Arc::new(Dialer::new(settings, tls.clone(), options.clone()));
        let new = |place| Node::new(Source::new(dialer.clone(), place));
        let (mut replica, mut follower) = (None, None);
        let kind = match topology {
            Topology::Standalone(address) => Kind::Server(address.clone(), new(Place::Server(address))),
            Topology::Cluster(seeds) => {
                let opening = tokio::time::timeout(options.connect_timeout, Cluster::open(dialer.clone(), seeds)).await;
                let opened =
                    opening.unwrap_or_else(|_| Err(crate::source::not_connected("no map within the connect timeout")));
                Kind::Cluster(opened.map_err(|error| crate::error::classify("connect", &error))?)
            }
            Topology::Sentinel { sentinels, name, user, password } => {
                let mut login = RedisConnectionInfo::default();
                login = user.map_or(login.clone(), |user| login.set_username(user));
                login = password.map_or(login.clone(), |password| login.set_password(password));
                let asking = Arc::new(Dialer::new(login, tls, options.clone()));
                let sentinels = Arc::new(Sentinels {
                    dialer: asking,
                    addresses: sentinels,
                    name,
                    switched: watch::Sender::default(),
                });
                let master = new(Place::Master(sentinels.clone()));
                replica =
                    (options.read_from == ReadFrom::Replicas).then(|| new(Place::ReplicaOfMaster(sentinels.clone())));
                let nodes = [Some(&master), replica.as_ref()].into_iter().flatten().map(Arc::downgrade).collect();
                follower = Some(tokio::spawn(follow_master(sentinels.clone(), nodes)).abort_handle());
                Kind::Sentinel(sentinels, master)
            }
        };
        Ok(Self { dialer, kind, replica, follower })
    }

    /// Who carries out calls.
    pub(crate) fn target(&self) -> Target {
        match &self.kind {
            Kind::Server(_, node) | Kind::Sentinel(_, node) => Target::One(node.clone(), self.replica.clone()),
            Kind::Cluster(cluster) => Target::Cluster(cluster.clone()),
        }
    }

    /// Connects, so that what is wrong is known from the start.
    pub(crate) async fn connect(&self) -> RedisResult<()> {
        match &self.kind {
            Kind::Server(_, node) | Kind::Sentinel(_, node) => node.connect().await,
            Kind::Cluster(_) => Ok(()),
        }
    }

    /// All nodes there are.
    pub(crate) fn nodes(&self) -> Vec<Arc<Node>> {
        match &self.kind {
            Kind::Server(_, node) | Kind::Sentinel(_, node) => {
                [Some(node), self.replica.as_ref()].into_iter().flatten().cloned().collect()
            }
            Kind::Cluster(cluster) => cluster.all_nodes(),
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Some(follower) = &self.follower {
            follower.abort();
        }
    }
}

#[cfg(feature = "tls")]
fn encryption(options: &RedisOptions) -> Result<Tls> {
    Tls::new(&options.tls)
}

#[cfg(not(feature = "tls"))]
fn encryption(_options: &RedisOptions) -> Result<Tls> {
    Err(kv_core::Error::invalid_config("connect", "rediss needs the feature tls"))
}
