//! What `cargo xtask redis up` can start.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Error, Result, bail};
use xtask::fixture::{Cluster, Sentinel, SentinelOptions, Server, TlsServer};
use xtask::workspace;

/// A kind of servers, of which one at a time may be up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topology {
    Standalone,
    Tls,
    Cluster,
    Sentinel,
}

impl Topology {
    pub(crate) const ALL: [Self; 4] = [Self::Standalone, Self::Tls, Self::Cluster, Self::Sentinel];

    /// The directory of its first server.
    pub(super) fn home(self) -> PathBuf {
        let base = self.base();
        match self {
            Self::Standalone | Self::Tls => base,
            Self::Cluster | Self::Sentinel => base.with_file_name(format!("redis-up-{self}-0")),
        }
    }

    pub(super) fn start(self) -> Result<Up> {
        let base = self.base();
        Ok(match self {
            Self::Standalone => Up::Standalone(Server::in_dir(base, &[])?),
            Self::Tls => Up::Tls(TlsServer::in_dir(base, false, &[])?),
            Self::Cluster => Up::Cluster(Cluster::in_dir(base, &[])?),
            Self::Sentinel => Up::Sentinel(Sentinel::in_dir(&base, &SentinelOptions::default())?),
        })
    }

    fn base(self) -> PathBuf {
        workspace::state().join(format!("redis-up-{self}"))
    }
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Standalone => "standalone",
            Self::Tls => "tls",
            Self::Cluster => "cluster",
            Self::Sentinel => "sentinel",
        })
    }
}

impl FromStr for Topology {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match Self::ALL.into_iter().find(|topology| topology.to_string() == name) {
            Some(topology) => Ok(topology),
            None => bail!("unknown topology {name}: there are {}", Self::ALL.map(|all| all.to_string()).join(", ")),
        }
    }
}

/// Servers that are up.
pub(super) enum Up {
    Standalone(Server),
    Tls(TlsServer),
    Cluster(Cluster),
    Sentinel(Sentinel),
}

impl Up {
    pub(super) fn url(&self) -> String {
        match self {
            Self::Standalone(server) => server.url(),
            Self::Tls(tls) => tls.url(),
            Self::Cluster(cluster) => cluster.url(),
            Self::Sentinel(group) => group.url(),
        }
    }

    /// All processes, the first of which is no sentinel.
    pub(super) fn servers(&self) -> Vec<&Server> {
        match self {
            Self::Standalone(server) => vec![server],
            Self::Tls(tls) => vec![tls.server()],
            Self::Cluster(cluster) => cluster.nodes().iter().collect(),
            Self::Sentinel(group) => group.servers().iter().chain(group.sentinels()).collect(),
        }
    }
}
