use anyhow::{Context, Result};
use std::str::FromStr;

/// What the store is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topology {
    Standalone,
    Tls,
    Pool,
    Cluster,
    Sentinel,
}

impl Topology {
    pub(crate) const ALL: [Self; 5] = [Self::Standalone, Self::Tls, Self::Pool, Self::Cluster, Self::Sentinel];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Standalone => "standalone",
            Self::Tls => "tls",
            Self::Pool => "pool",
            Self::Cluster => "cluster",
            Self::Sentinel => "sentinel",
        }
    }
}

impl FromStr for Topology {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|topology| topology.name() == name);
        known.with_context(|| format!("no topology {name}: there are {}", Self::ALL.map(Self::name).join(", ")))
    }
}
