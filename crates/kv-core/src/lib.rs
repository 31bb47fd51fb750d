#![doc = include_str!("../README.md")]

mod clock;
mod codec;
mod error;
mod key;
mod limits;
mod memory;
mod options;
mod pubsub;
mod reply;
mod retry;
mod script;
mod store;
mod transform;

#[cfg(feature = "json")]
pub use codec::Json;
pub use {
    clock::Clock,
    codec::{Codec, Raw},
    error::{Error, ErrorKind, Executed, Result},
    key::Keyspace,
    limits::Limits,
    memory::{MemoryStore, TwinContext},
    options::{Condition, SetOptions},
    pubsub::{Event, Feed, Message, PubSub, Subscription},
    reply::Reply,
    retry::{Repeat, RetryPolicy, retry_async},
    script::{Arg, Script, ScriptStore, Twin},
    store::{KvStore, KvStoreExt, Ttl},
    transform::Transform,
};
