use kv_core::{Error, Result};
use redis::{ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo};
use std::{fmt, path::PathBuf, sync::Arc};

/// Where one server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Address {
    Tcp(Arc<str>, u16),
    Unix(PathBuf),
}

/// What a URL names: who to ask, and what to say to the servers.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) topology: Topology,
    pub(crate) tls: bool,
    pub(crate) settings: RedisConnectionInfo,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Topology {
    Standalone(Address),
    Cluster(Vec<Address>),
    Sentinel { sentinels: Vec<Address>, name: String, user: Option<String>, password: Option<String> },
}

const SCHEMES: [(&str, &str, bool); 10] = [
    ("redis-cluster", "cluster", false),
    ("rediss-cluster", "cluster", true),
    ("redis-sentinel", "sentinel", false),
    ("rediss-sentinel", "sentinel", true),
    ("redis", "", false),
    ("rediss", "", true),
    ("valkey", "", false),
    ("valkeys", "", true),
    ("unix", "unix", false),
    ("redis+unix", "unix", false),
];

impl Endpoint {
    /// Reads a URL; no part of it is in the error, which may end in a log while the URL holds a password.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let refused = |detail| Error::invalid_config("connect", detail);
        let (scheme, rest) = url.split_once(':').ok_or_else(|| refused("not a redis url"))?;
        let &(_, kind, tls) =
            SCHEMES.iter().find(|(name, ..)| *name == scheme).ok_or_else(|| refused("not a redis url"))?;
        let plain = if kind == "unix" { format!("unix:{rest}") } else { format!("redis:{rest}") };
        let info = plain.as_str().into_connection_info().map_err(|_| refused("not a redis url"))?;
        let first = match info.addr() {
            ConnectionAddr::Tcp(host, port) => Address::tcp(host, *port),
            ConnectionAddr::Unix(path) => Address::Unix(path.clone()),
            _ => return Err(refused("not a redis url")),
        };
        let settings = info.redis_settings().clone();
        let query = Query::of(&plain);
        let mut nodes = vec![first.clone()];
        for node in query.all("node") {
            nodes.push(Address::parse(&node).ok_or_else(|| refused("node is not host:port"))?);
        }
        let topology = match kind {
            "cluster" if settings.db() != 0 => return Err(refused("a cluster has database 0 only")),
            "cluster" => Topology::Cluster(nodes),
            "sentinel" => Topology::Sentinel {
                sentinels: nodes,
                name: query.one("sentinelServiceName").unwrap_or_else(|| "mymaster".to_owned()),
                user: query.one("sentinelUsername"),
                password: query.one("sentinelPassword"),
            },
            _ if nodes.len() > 1 => return Err(refused("several nodes are a redis-cluster: or redis-sentinel: url")),
            _ => Topology::Standalone(first),
        };
        Ok(Self { topology, tls, settings })
    }
}

struct Query(Vec<(String, String)>);

impl Query {
    fn of(url: &str) -> Self {
        let url = redis::parse_redis_url(url);
        Self(url.map(|url| url.query_pairs().into_owned().collect()).unwrap_or_default())
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = String> + 'a {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.clone())
    }

    fn one(&self, name: &str) -> Option<String> {
        self.all(name).next()
    }
}

impl Address {
    pub(crate) fn tcp(host: &str, port: u16) -> Self {
        Self::Tcp(host.trim_start_matches('[').trim_end_matches(']').into(), port)
    }

    /// `host:port`, `[::1]:port`, or `::1:port` as Redis writes it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        Some(Self::tcp(host, port.parse().ok()?))
    }

    /// The same, where a node that does not know its own name leaves out the host: it is the one that was asked.
    pub(crate) fn parse_from(text: &str, asked: &Self) -> Option<Self> {
        match (Self::parse(text)?, asked) {
            (Self::Tcp(host, port), Self::Tcp(same, _)) if host.is_empty() || &*host == "?" => {
                Some(Self::Tcp(same.clone(), port))
            }
            (address, _) => Some(address),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_url() {
        let parse = |url| Endpoint::parse(url).unwrap();
        let one = parse("redis://ada:p%40ss@db:7000/3?protocol=resp3");
        assert_eq!(one.topology, Topology::Standalone(Address::tcp("db", 7000)));
        assert_eq!(
            (one.settings.username(), one.settings.password(), one.settings.db()),
            (Some("ada"), Some("p@ss"), 3)
        );
        assert_eq!(one.settings.protocol(), redis::ProtocolVersion::RESP3);
        assert!(!one.tls && parse("rediss://db").tls && parse("rediss-cluster://db").tls);
        assert_eq!(
            parse("unix:///tmp/r.sock?db=2").topology,
            Topology::Standalone(Address::Unix("/tmp/r.sock".into()))
        );
        let nodes = vec![Address::tcp("a", 1), Address::tcp("b", 2), Address::tcp("::1", 3)];
        assert_eq!(parse("redis-cluster://a:1?node=b:2&node=[::1]:3").topology, Topology::Cluster(nodes));
        let Topology::Sentinel { sentinels, name, user, password } =
            parse("redis-sentinel://:secret@a:1/2?node=b:2&sentinelServiceName=main&sentinelPassword=x").topology
        else {
            panic!("not a sentinel")
        };
        assert_eq!((sentinels.len(), &*name, user, password.as_deref()), (2, "main", None, Some("x")));
    }

    #[test]
    fn what_is_no_url_is_refused_without_being_told() {
        let wrong =
            ["", "secret", "http://secret", "redis://", "redis://a?node=secret", "redis-cluster://a/3", "redis://a:x"];
        for url in wrong {
            let error = Endpoint::parse(url).err().unwrap_or_else(|| panic!("{url}")).to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_node_without_a_host_is_the_one_that_was_asked() {
        let asked = Address::tcp("db", 1);
        assert_eq!(Address::parse_from(":7001", &asked), Some(Address::tcp("db", 7001)));
        assert_eq!(Address::parse_from("::1:7001", &asked), Some(Address::tcp("::1", 7001)));
        assert_eq!(Address::parse_from("nonsense", &asked), None);
    }
}
