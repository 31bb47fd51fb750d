//! Calls of the store against redis-rs as it is.

mod bare;
mod cluster;
mod fred;
mod one;
mod ours;
mod pool;

use redis::{Client, IntoConnectionInfo};

use crate::pin::Placement;
use crate::scenario::{BoxFuture, Contenders, Scenario, TURN};
use crate::stage::Stage;
use anyhow::Result;

/// What a call costs by itself.
pub(crate) const GET: Scenario =
    one("store-get", "one task reads 100 bytes", Placement::Same, |url| one::calls(url, Verb::Get, 1));

/// What one connection and one core of the client carry.
pub(crate) const GET_64: Scenario =
    one("store-get-64", "64 tasks read 100 bytes each", Placement::Split, |url| one::calls(url, Verb::Get, 64));

/// The same with more calls on their way than redis-rs' buffer holds.
pub(crate) const GET_512: Scenario =
    one("store-get-512", "512 tasks read 100 bytes each", Placement::Split, |url| one::calls(url, Verb::Get, 512));

/// The same in the other direction.
pub(crate) const SET: Scenario =
    one("store-set", "one task writes 100 bytes", Placement::Same, |url| one::calls(url, Verb::Set, 1));

pub(crate) const SET_64: Scenario =
    one("store-set-64", "64 tasks write 100 bytes each", Placement::Split, |url| one::calls(url, Verb::Set, 64));

pub(crate) const SET_512: Scenario =
    one("store-set-512", "512 tasks write 100 bytes each", Placement::Split, |url| one::calls(url, Verb::Set, 512));

/// Many values by one command.
pub(crate) const MGET_100: Scenario =
    one("store-mget", "one task reads 100 values of 100 bytes by one command", Placement::Split, |url| {
        one::calls(url, Verb::Mget, 1)
    });

/// Many commands in one go.
pub(crate) const PIPELINE_100: Scenario =
    one("store-pipeline", "one task reads 100 values of 100 bytes in one pipeline", Placement::Split, one::pipelines);

/// What it costs to find the node.
pub(crate) const CLUSTER_GET: Scenario =
    cluster("cluster-get", "one task reads 100 bytes", Placement::Same, |url| cluster::calls(url, Verb::Get, 1));

pub(crate) const CLUSTER_GET_64: Scenario =
    cluster("cluster-get-64", "64 tasks read 100 bytes each", Placement::Split, |url| {
        cluster::calls(url, Verb::Get, 64)
    });

pub(crate) const CLUSTER_GET_512: Scenario =
    cluster("cluster-get-512", "512 tasks read 100 bytes each", Placement::Split, |url| {
        cluster::calls(url, Verb::Get, 512)
    });

pub(crate) const CLUSTER_SET: Scenario =
    cluster("cluster-set", "one task writes 100 bytes", Placement::Same, |url| cluster::calls(url, Verb::Set, 1));

pub(crate) const CLUSTER_SET_64: Scenario =
    cluster("cluster-set-64", "64 tasks write 100 bytes each", Placement::Split, |url| {
        cluster::calls(url, Verb::Set, 64)
    });

pub(crate) const CLUSTER_SET_512: Scenario =
    cluster("cluster-set-512", "512 tasks write 100 bytes each", Placement::Split, |url| {
        cluster::calls(url, Verb::Set, 512)
    });

/// Connections that one call has to itself.
pub(crate) const POOL_64: Scenario = Scenario {
    name: "pool-get-64",
    about: "64 tasks read 100 bytes each over 16 connections",
    pin: Placement::Split,
    crates: &["redis", "tokio", "kv-redis", "deadpool-redis", "bb8-redis"],
    turn: TURN,
    stage: Stage::Server,
    less_of: None,
    contenders: |url| pool::calls(url, 64),
};

const CRATES: &[&str] = &["redis", "tokio", "kv-redis", "fred"];

const fn one(
    name: &'static str,
    about: &'static str,
    pin: Placement,
    contenders: fn(String) -> BoxFuture<'static, Result<Contenders>>,
) -> Scenario {
    Scenario { name, about, pin, turn: TURN, crates: CRATES, stage: Stage::Server, less_of: None, contenders }
}

const fn cluster(
    name: &'static str,
    about: &'static str,
    pin: Placement,
    contenders: fn(String) -> BoxFuture<'static, Result<Contenders>>,
) -> Scenario {
    Scenario { name, about, pin, turn: TURN, crates: CRATES, stage: Stage::Cluster, less_of: None, contenders }
}

/// What a task does over and over.
#[derive(Clone, Copy)]
enum Verb {
    Get,
    Set,
    /// A hundred values.
    Mget,
}

impl Verb {
    fn commands(self) -> &'static [(&'static str, u64)] {
        match self {
            Self::Get => &[("get", 1)],
            Self::Set => &[("set", 1)],
            Self::Mget => &[("mget", 1)],
        }
    }
}

/// How many values one operation reads, where it reads many.
const MANY: usize = 100;

const VALUE: [u8; 100] = [7; 100];

fn key(task: usize) -> String {
    format!("bench:{task}")
}

fn many_keys() -> Vec<String> {
    (0..MANY).map(key).collect()
}

/// The same transport for all.
fn client(url: &str) -> Result<Client> {
    let info = url.into_connection_info()?;
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    Ok(Client::open(info.set_tcp_settings(tcp))?)
}
