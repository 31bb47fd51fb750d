use crate::{call::DEADLINE, topology::Topology};
use anyhow::{Context, Result, bail};
use kv_redis::{PoolOptions, RedisOptions, TlsOptions};
use std::time::Duration;
use xtask::{
    fixture::{Cluster, Proxy, Sentinel, Server, TlsServer},
    resp::Reply,
};

/// The servers of a topology, and what lies before them.
#[derive(Debug)]
pub(crate) enum Stage {
    One(Server, Proxy),
    Tls(TlsServer, Proxy),
    Cluster(Cluster),
    Sentinel(Sentinel),
}

/// The user that the store is, beside the one that does the harm, and the passwords it has in turn.
pub(crate) const USER: &str = "app";
pub(crate) const PASSWORDS: [&str; 2] = ["one", "two"];
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_millis(300);
/// What the store's connections are called.
pub(crate) const CLIENT: &str = "chaos";

/// Everything acknowledged is on disk: a server that is killed comes back with it.
const ARGS: [&str; 11] =
    ["--appendonly", "yes", "--appendfsync", "always", "--user", USER, "on", ">one", "~*", "&*", "+@all"];
/// A replica that waits for a master behind a black hole notices.
const CLUSTER_ARGS: [&str; 2] = ["--repl-timeout", "3"];

impl Stage {
    pub(crate) fn start(topology: Topology) -> Result<Self> {
        Ok(match topology {
            Topology::Standalone | Topology::Pool => {
                let server = Server::with_args(&ARGS)?;
                let proxy = Proxy::to(server.port())?;
                Self::One(server, proxy)
            }
            Topology::Tls => {
                let server = TlsServer::with_args(false, &ARGS)?;
                let proxy = Proxy::to(server.port())?;
                Self::Tls(server, proxy)
            }
            Topology::Cluster => {
                let args = [&CLUSTER_ARGS[..], &ARGS].concat();
                Self::Cluster(Cluster::behind_proxies_with_args(&args)?)
            }
            Topology::Sentinel => {
                let group = Sentinel::start()?;
                let password = format!(">{}", PASSWORDS[0]);
                for server in group.servers() {
                    expect_ok(server, &["ACL", "SETUSER", USER, "on", &password, "~*", "&*", "+@all"])?;
                    // It outlives a restart.
                    expect_ok(server, &["CONFIG", "REWRITE"])?;
                }
                Self::Sentinel(group)
            }
        })
    }

    pub(crate) fn url(&self) -> String {
        let login = format!("://{USER}:{}@", PASSWORDS[0]);
        let url = match self {
            Self::One(_, proxy) => proxy.url(),
            Self::Tls(_, proxy) => proxy.url().replace("redis:", "rediss:"),
            Self::Cluster(cluster) => cluster.url(),
            Self::Sentinel(group) => group.url(),
        };
        url.replacen("://", &login, 1)
    }

    pub(crate) fn options(&self, topology: Topology) -> RedisOptions {
        let mut options = RedisOptions::default().deadline(DEADLINE).client_name(CLIENT);
        options = options.connect_timeout(CONNECT_TIMEOUT).heartbeat(Duration::from_millis(300));
        if let Self::Tls(server, _) = self {
            options = options.tls(TlsOptions::default().ca_pem(server.certificates().ca_pem()));
        }
        if topology == Topology::Pool {
            options = options.pool(PoolOptions::default().min(2).max(16));
        }
        options
    }

    /// The servers that hold data.
    pub(crate) fn servers(&self) -> Vec<&Server> {
        match self {
            Self::One(server, _) => vec![server],
            Self::Tls(server, _) => vec![server.server()],
            Self::Cluster(cluster) => cluster.nodes().iter().collect(),
            Self::Sentinel(group) => group.servers().iter().collect(),
        }
    }

    pub(crate) fn proxies(&self) -> Vec<&Proxy> {
        match self {
            Self::One(_, proxy) | Self::Tls(_, proxy) => vec![proxy],
            Self::Cluster(cluster) => cluster.proxies().iter().collect(),
            Self::Sentinel(_) => Vec::new(),
        }
    }

    /// The numbers of the servers that take writes.
    pub(crate) fn masters(&self) -> Result<Vec<usize>> {
        match self {
            Self::One(..) | Self::Tls(..) => Ok(vec![0]),
            Self::Cluster(cluster) => cluster.masters(),
            Self::Sentinel(group) => Ok(vec![group.master()?]),
        }
    }

    /// Waits until the servers agree on everything again.
    pub(crate) fn settle(&self) -> Result<()> {
        match self {
            Self::One(..) | Self::Tls(..) => Ok(()),
            Self::Cluster(cluster) => cluster.wait_ok(),
            Self::Sentinel(group) => group.wait_ok(),
        }
    }

    /// A key for each server that has some.
    pub(crate) fn probes(&self) -> Result<Vec<String>> {
        let Self::Cluster(cluster) = self else { return Ok(vec!["probe:0".to_owned()]) };
        let mut found = [const { None }; 3];
        for at in 0..64 {
            let key = format!("probe:{at}");
            let shard = usize::from(cluster.slot_of(&key)?) * 3 / 16_384;
            found[shard] = Some(key);
        }
        Ok(found.into_iter().flatten().collect())
    }

    /// The connections of the store that are still there.
    pub(crate) fn connections(&self) -> Result<usize> {
        let sentinels = match self {
            // The server would go on counting those that the network has forgotten.
            Self::One(_, proxy) | Self::Tls(_, proxy) => return Ok(proxy.open()),
            Self::Cluster(_) => &[],
            Self::Sentinel(group) => group.sentinels(),
        };
        let mut count = 0;
        for server in self.servers().into_iter().chain(sentinels) {
            let list = server.call(&["CLIENT", "LIST"])?;
            count += named(list.text().with_context(|| format!("no list of clients: {list:?}"))?);
        }
        Ok(count)
    }
}

fn named(list: &str) -> usize {
    let name = format!("name={CLIENT}");
    list.lines().filter(|line| line.split(' ').any(|field| field == name)).count()
}

pub(crate) fn expect_ok(server: &Server, command: &[&str]) -> Result<()> {
    match server.call(command)? {
        Reply::Error(error) => bail!("{}: {error}", command.join(" ")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn a_connection_that_is_left_is_found_by_its_name() {
        let list = "id=3 addr=127.0.0.1:1 name= age=0\nid=4 name=chaos age=1\nid=5 name=chaos2 age=1\n";
        assert_eq!(named(list), 1);
        assert_eq!(named(""), 0);
    }
}
