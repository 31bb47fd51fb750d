//! Servers of our own, which die with their owner: one alone, a cluster, a group with sentinels, and a network that
//! breaks on order.

mod cluster;
mod launch;
mod leash;
mod port;
mod proxy;
mod sentinel;
mod server;
mod tls;
mod wait;

use std::time::Duration;

pub use self::cluster::Cluster;
pub use self::proxy::Proxy;
pub use self::sentinel::{Sentinel, SentinelOptions};
pub use self::server::Server;
pub use self::tls::{Certificates, TlsServer};

const DEADLINE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(2);
