use crate::{Error, ErrorKind, Reply, Result, TwinContext};
use async_trait::async_trait;
use std::{borrow::Cow, fmt, sync::OnceLock};

/// One argument of a script.
#[derive(Clone, Copy)]
pub enum Arg<'a> {
    /// Any bytes.
    Bytes(&'a [u8]),
    /// An integer, sent as decimal text.
    Int(i64),
}

impl<'a> Arg<'a> {
    /// The argument as the script sees it.
    pub fn to_bytes(self) -> Cow<'a, [u8]> {
        match self {
            Self::Bytes(bytes) => Cow::Borrowed(bytes),
            Self::Int(int) => Cow::Owned(int.to_string().into_bytes()),
        }
    }

    /// The argument as an integer.
    pub fn to_int(self) -> Result<i64> {
        match self {
            Self::Int(int) => Ok(int),
            Self::Bytes(bytes) => std::str::from_utf8(bytes)
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| Error::invalid_input("script", "argument is no integer")),
        }
    }
}

impl<'a> From<&'a str> for Arg<'a> {
    fn from(text: &'a str) -> Self {
        Self::Bytes(text.as_bytes())
    }
}

impl<'a> From<&'a [u8]> for Arg<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<i64> for Arg<'_> {
    fn from(int: i64) -> Self {
        Self::Int(int)
    }
}

impl fmt::Debug for Arg<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Int(int) => int.fmt(f),
        }
    }
}

/// The same step as a script's Lua, in Rust: same inputs, outputs and effects.
pub type Twin = fn(&mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply>;

/// An atomic step: Lua for the server, and its [`Twin`] for [`MemoryStore`](crate::MemoryStore).
///
/// Declare it as a `static`, so that its SHA-1 is computed once:
///
/// ```
/// use kv_core::{Arg, Reply, Result, Script, TwinContext};
///
/// static SET_MAX: Script = Script::new(
///     "example/set-max",
///     r#"
///     local new = tonumber(ARGV[1])
///     local old = tonumber(redis.call("GET", KEYS[1]) or 0)
///     if new <= old then return old end
///     redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])
///     return new
///     "#,
///     set_max,
/// );
///
/// fn set_max(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
///     let (new, ttl) = (args[0].to_int()?, args[1].to_int()?);
///     let old = store.integer(keys[0])?.unwrap_or(0);
///     if new > old {
///         store.set(keys[0], new.to_string(), Some(ttl));
///     }
///     Ok(Reply::Int(new.max(old)))
/// }
/// assert_eq!(SET_MAX.sha1().len(), 40);
/// ```
pub struct Script {
    name: &'static str,
    lua: &'static str,
    twin: Twin,
    sha1: OnceLock<String>,
}

impl Script {
    /// A script; the name, `crate/verb`, labels errors and metrics.
    pub const fn new(name: &'static str, lua: &'static str, twin: Twin) -> Self {
        Self { name, lua, twin, sha1: OnceLock::new() }
    }

    /// The name, `crate/verb`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The Lua text.
    pub fn lua(&self) -> &'static str {
        self.lua
    }

    /// The Rust twin.
    pub fn twin(&self) -> Twin {
        self.twin
    }

    /// The SHA-1 of the Lua text in lower-case hexadecimal, as `EVALSHA` takes it.
    pub fn sha1(&self) -> &str {
        self.sha1.get_or_init(|| sha1_smol::Sha1::from(self.lua).digest().to_string())
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Script").field(&self.name).finish()
    }
}

/// The keys and arguments of one call among [many](ScriptStore::run_many).
#[derive(Clone, Copy, Debug)]
pub struct ScriptCall<'a> {
    /// The keys, all in one hash slot.
    pub keys: &'a [&'a str],
    /// The arguments.
    pub args: &'a [Arg<'a>],
}

/// The capability of running a step atomically.
#[async_trait]
pub trait ScriptStore: Send + Sync {
    /// Runs a script; all keys must share one hash slot. One round trip, two the first time a server sees the script.
    ///
    /// A lost reply is an error that says it [may have been executed](crate::Executed::Maybe), and so is a failure within the
    /// script: what it wrote before stays. It is never sent again behind the caller's back.
    async fn run(&self, script: &Script, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply>;

    /// Runs a script many times, in one round trip where the store can; the replies are in the order of the calls.
    ///
    /// Each call is atomic, all together are not: others may come between them, and one that fails leaves the others be. An error of
    /// the whole says that any of them [may have been executed](crate::Executed::Maybe). The keys of one call must share a hash slot.
    async fn run_many(&self, script: &Script, calls: &[ScriptCall<'_>]) -> Result<Vec<Result<Reply>>>;

    /// Runs ad-hoc Lua; [`ErrorKind::Unsupported`] on a store that has no Lua.
    async fn eval(&self, lua: &str, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
        let _ = (lua, keys, args);
        Err(Error::new(ErrorKind::Unsupported, "eval").with_detail("this store runs scripts by their twins only"))
    }
}
