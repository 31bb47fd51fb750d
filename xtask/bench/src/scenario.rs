//! What is measured: a scenario is a set of contenders that do the same work.

use std::pin::Pin;
use std::time::Duration;

use anyhow::Result;

use crate::cache;
use crate::compress;
use crate::histogram::Histogram;
use crate::lock;
use crate::near;
use crate::pin::Placement;
use crate::ratelimit;
use crate::stage::Stage;
use crate::store;

/// Every scenario there is.
pub(crate) static SCENARIOS: &[Scenario] = &[
    lock::UNCONTENDED,
    lock::UNCONTENDED_64,
    lock::CONTENDED,
    lock::CONTENDED_PROCESSES,
    lock::LOCAL_32,
    lock::HELD_1000,
    lock::QUORUM_3,
    lock::QUORUM_3_64,
    store::GET,
    store::GET_64,
    store::GET_512,
    store::SET,
    store::SET_64,
    store::SET_512,
    store::MGET_100,
    store::PIPELINE_100,
    store::CLUSTER_GET,
    store::CLUSTER_GET_64,
    store::CLUSTER_GET_512,
    store::CLUSTER_SET,
    store::CLUSTER_SET_64,
    store::CLUSTER_SET_512,
    store::POOL_64,
    ratelimit::CHECK,
    ratelimit::CHECK_KEYS,
    ratelimit::CHECK_64,
    ratelimit::CHECK_64_KEYS,
    ratelimit::DENIED,
    ratelimit::LOCAL,
    cache::GET,
    cache::GET_64,
    cache::GET_JSON,
    cache::GET_JSON_64,
    cache::STAMPEDE,
    cache::STAMPEDE_PROCESSES,
    cache::XFETCH,
    cache::AVALANCHE,
    cache::REPLAY,
    cache::RACE,
    near::HIT,
    near::HIT_2,
    near::MISS,
    near::INSERT,
    near::INSERT_2,
    compress::WRITE_1K,
    compress::WRITE_4K,
    compress::WRITE_100K,
    compress::READ_1K,
    compress::READ_4K,
    compress::READ_100K,
    compress::NOISE,
    compress::SMALL,
    compress::LEVELS_1K,
    compress::LEVELS_4K,
    compress::LEVELS_64K,
];

/// Long enough for what takes microseconds.
pub(crate) const TURN: Duration = Duration::from_millis(500);

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
pub(crate) type Contenders = Vec<Box<dyn Contender>>;

/// One question, and those who answer it.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// One line: what an operation is, and how many run at once.
    pub(crate) about: &'static str,
    /// Where client and server run unless the command line says otherwise.
    pub(crate) pin: Placement,
    /// How long a turn is unless the command line says otherwise.
    pub(crate) turn: Duration,
    /// The crates whose versions the report names.
    pub(crate) crates: &'static [&'static str],
    /// What they talk to.
    pub(crate) stage: Stage,
    /// The figure of which less is better, where that is what it is about; elsewhere speed is.
    pub(crate) less_of: Option<&'static str>,
    /// Connects the contenders to what is at this URL. The first is what the others are compared to.
    pub(crate) contenders: fn(url: String) -> BoxFuture<'static, Result<Contenders>>,
}

/// One row of the table.
pub(crate) trait Contender {
    fn name(&self) -> &'static str;

    /// How often one operation runs each of these commands on the server, inside of scripts too.
    /// A round that differs fails: work that is not done is not fast.
    fn commands(&self) -> &'static [(&'static str, u64)];

    /// The commands that come from the client, where it is of interest how many: what scripts run is counted like them.
    fn sent(&self) -> &'static [&'static str] {
        &[]
    }

    /// What goes before a turn and its warm-up, and is not measured.
    fn enter(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    /// What goes after a turn, and is not measured.
    fn leave(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    /// Works for this long, in spawned tasks: the body of `block_on` pays for one more wake-up per reply.
    fn work(&mut self, time: Duration) -> BoxFuture<'_, Result<Sample>>;
}

/// What one turn of a contender yields.
#[derive(Default)]
pub(crate) struct Sample {
    pub(crate) ops: u64,
    pub(crate) elapsed: Duration,
    /// Empty where an operation is too short for a clock.
    pub(crate) latencies: Histogram,
    /// What speed does not tell, by the name of its column: the longest wait, fairness.
    pub(crate) figures: Vec<(&'static str, f64)>,
    /// Processor time that other processes spent on the turn, microseconds.
    pub(crate) elsewhere_us: f64,
}
