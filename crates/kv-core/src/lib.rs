#![doc = include_str!("../README.md")]

mod blocking;
mod breaker;
mod capabilities;
mod chunked;
mod clock;
mod codec;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod glob;
mod key;
mod layer;
mod layers;
mod limits;
mod memory;
mod options;
mod pubsub;
mod replication;
mod reply;
mod retry;
mod scan;
mod script;
mod store;
mod subscription;
mod timeouts;
mod tracking;
mod transform;

#[cfg(feature = "json")]
pub use codec::Json;
#[cfg(feature = "msgpack")]
pub use codec::MessagePack;
#[cfg(feature = "obs")]
pub use layer::Observed;
pub use {
    blocking::{BlockingStore, End},
    breaker::{Breaker, BreakerOptions, Leave},
    capabilities::{AtomicBatch, Capabilities},
    chunked::ChunkOptions,
    clock::Clock,
    codec::{Codec, Raw},
    error::{Error, ErrorKind, Executed, Result},
    key::Keyspace,
    layer::{Around, Call, ConcurrencyLimit, Deadline, Layered, Namespaced, Retrying},
    layers::Layers,
    limits::Limits,
    memory::{MemoryStore, TwinContext},
    options::{Condition, SetOptions},
    pubsub::{Message, PubSub},
    replication::Replication,
    reply::Reply,
    retry::{Repeat, RetryPolicy, retry_async},
    scan::{Cursor, Page, ScanStore},
    script::{Arg, Script, ScriptCall, ScriptStore, Twin},
    store::{KvStore, KvStoreExt, Ttl},
    subscription::{Event, Feed, Outage, Subscription},
    timeouts::Timeouts,
    tracking::{KeyChanges, Tracking},
    transform::Transform,
};
