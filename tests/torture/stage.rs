use anyhow::{Result, bail};
use xtask::{
    fixture::{Proxy, Sentinel, Server},
    resp::Reply,
};

/// What is acknowledged is on disk.
const ARGS: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

/// The servers that workers share.
pub(crate) enum Stage {
    /// One, behind a network that can be disturbed.
    Alone { server: Server, network: Proxy },
    /// A master with its replicas, watched by sentinels: what it acknowledges may be lost when it dies.
    Watched(Sentinel),
}

impl Stage {
    pub(crate) fn alone() -> Result<Self> {
        let server = Server::with_args(&ARGS)?;
        let network = Proxy::to(server.port())?;
        Ok(Self::Alone { server, network })
    }

    pub(crate) fn watched() -> Result<Self> {
        Ok(Self::Watched(Sentinel::start()?))
    }

    /// What workers connect to.
    pub(crate) fn workers_url(&self) -> String {
        match self {
            Self::Alone { network, .. } => network.url(),
            Self::Watched(sentinel) => sentinel.url(),
        }
    }

    /// The same without a disturbance.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Alone { server, .. } => server.url(),
            Self::Watched(sentinel) => sentinel.url(),
        }
    }

    pub(crate) fn server(&self) -> Result<&Server> {
        Ok(match self {
            Self::Alone { server, .. } => server,
            Self::Watched(sentinel) => &sentinel.servers()[sentinel.master()?],
        })
    }

    pub(crate) fn call(&self, command: &[&str]) -> Result<Reply> {
        match self.server()?.call(command)? {
            Reply::Error(error) => bail!("{}: {error}", command.join(" ")),
            reply => Ok(reply),
        }
    }
}
