//! The servers of a scenario, and how they are asked what they did.

use std::any::Any;

use anyhow::Result;
use xtask::fixture::{Cluster, Server};
use xtask::resp::Connection;

use crate::meter;

/// What the contenders talk to, started for one scenario.
#[derive(Clone, Copy)]
pub(crate) enum Stage {
    /// One server.
    Server,
    /// So many that know nothing of each other.
    Servers(usize),
    /// Three masters, with a replica each.
    Cluster,
}

/// The servers while they run.
pub(crate) struct Servers {
    /// One per server that stands alone, with commas in between.
    pub(crate) url: String,
    /// To those who carry out commands. A replica repeats them.
    pub(crate) controls: Vec<Connection>,
    pub(crate) pids: Vec<u32>,
    _running: Box<dyn Any>,
}

impl Stage {
    pub(crate) fn start(self) -> Result<Servers> {
        let (url, ports, masters, running): (_, _, _, Box<dyn Any>) = match self {
            Self::Server => {
                let server = Server::start()?;
                (server.url(), vec![server.port()], vec![0], Box::new(server))
            }
            Self::Servers(count) => {
                let servers = (0..count).map(|_| Server::start()).collect::<Result<Vec<_>>>()?;
                let urls = servers.iter().map(Server::url).collect::<Vec<_>>().join(",");
                (urls, servers.iter().map(Server::port).collect(), (0..count).collect(), Box::new(servers))
            }
            Self::Cluster => {
                // Servers that share a busy processor are slow, not gone.
                let cluster = Cluster::with_args(&["--cluster-node-timeout", "15000"])?;
                (cluster.url(), cluster.ports(), cluster.masters()?, Box::new(cluster))
            }
        };
        let mut controls = ports.iter().map(|&port| meter::connect(port)).collect::<Result<Vec<_>>>()?;
        let pids = controls.iter_mut().map(meter::server_pid).collect::<Result<_>>()?;
        let controls = controls.into_iter().enumerate().filter(|(at, _)| masters.contains(at));
        Ok(Servers { url, controls: controls.map(|(_, control)| control).collect(), pids, _running: running })
    }
}
