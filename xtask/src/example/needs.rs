//! What an example runs on: the line `//! Needs: …` at its top.

use std::str::FromStr;

use anyhow::{Error, Result, bail};
use xtask::fixture::{Cluster, Sentinel, Server, TlsServer};

/// Servers an example wants to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    Nothing,
    Server,
    /// One that asks its clients for a certificate.
    Tls,
    Cluster,
    Sentinel,
}

const WORDS: [(&str, Needs); 5] = [
    ("nothing.", Needs::Nothing),
    ("a server.", Needs::Server),
    ("a server with TLS.", Needs::Tls),
    ("a cluster.", Needs::Cluster),
    ("a server with replicas and sentinels.", Needs::Sentinel),
];

impl FromStr for Needs {
    type Err = Error;

    fn from_str(words: &str) -> Result<Self> {
        match WORDS.iter().find(|(known, _)| *known == words) {
            Some((_, needs)) => Ok(*needs),
            None => bail!("`Needs: {words}` is none of: {}", WORDS.map(|(known, _)| known).join(" ")),
        }
    }
}

impl Needs {
    pub(super) fn start(self) -> Result<Option<Started>> {
        Ok(Some(match self {
            Self::Nothing => return Ok(None),
            Self::Server => Started::Server(Server::start()?),
            Self::Tls => Started::Tls(Server::tls(true)?),
            Self::Cluster => Started::Cluster(Cluster::start()?),
            Self::Sentinel => Started::Sentinel(Sentinel::start()?),
        }))
    }
}

/// Servers that end when this goes.
pub(super) enum Started {
    Server(Server),
    Tls(TlsServer),
    Cluster(Cluster),
    Sentinel(Sentinel),
}

impl Started {
    /// The environment that says where they are.
    pub(super) fn variables(&self) -> Vec<(&'static str, String)> {
        let url = |url| vec![("REDIS_URL", url)];
        match self {
            Self::Server(server) => url(server.url()),
            Self::Cluster(cluster) => url(cluster.url()),
            Self::Sentinel(group) => url(group.url()),
            Self::Tls(tls) => {
                let file = |name: &str| tls.server().dir().join(name).display().to_string();
                let mut variables = url(tls.url());
                variables.push(("REDIS_CA", file("ca.pem")));
                variables.push(("REDIS_CLIENT_CERT", file("client.pem")));
                variables.push(("REDIS_CLIENT_KEY", file("client.key.pem")));
                variables
            }
        }
    }
}
