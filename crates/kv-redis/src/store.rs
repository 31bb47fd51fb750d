use crate::{
    RedisOptions,
    error::{classify, timed_out},
};
use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{Condition, Error, ErrorKind, KvStore, Limits, PubSub, Result, ScriptStore, SetOptions, Ttl};
use redis::{
    Client, Cmd, FromRedisValue, IntoConnectionInfo,
    aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig},
    cmd,
};
use std::{fmt, time::Duration};
use tokio::time::timeout;

/// kv-core's store on Redis or Valkey.
///
/// Clones share the connection. [`connect`](RedisStore::connect) opens one multiplexed connection that reconnects;
/// [`from_connection`](Self::from_connection) takes one that a service already has.
#[derive(Clone)]
pub struct RedisStore<C = ConnectionManager> {
    connection: C,
    client: Option<Client>,
    options: RedisOptions,
}

impl RedisStore {
    /// Connects to a server: `redis://user:password@host:port/db`, `unix:///path`, `?protocol=resp3`.
    ///
    /// Errors: [`ErrorKind::InvalidConfig`] for a URL that is none, [`ErrorKind::Auth`] for wrong credentials,
    /// [`ErrorKind::Unavailable`] when nobody answers. Needs a tokio runtime.
    pub async fn connect(url: &str) -> Result<Self> {
        Self::connect_with(url, RedisOptions::default()).await
    }

    /// Connects with options of one's own; see [`connect`](Self::connect).
    pub async fn connect_with(url: &str, options: RedisOptions) -> Result<Self> {
        options.check()?;
        let refused = |_| Error::invalid_config("connect", "not a redis url");
        let info = url.into_connection_info().map_err(refused)?;
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        let client = Client::open(info.set_tcp_settings(tcp)).map_err(refused)?;
        // One attempt at a time, begun by the calls that need it: a server that is down is told at once, and `deadline`
        // bounds every wait, so redis-rs' own timer would only cost.
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(options.connect_timeout))
            .set_response_timeout(None)
            .set_pipeline_buffer_size(options.pipeline_buffer);
        let connecting = ConnectionManager::new_with_config(client.clone(), config);
        let connection = timeout(options.connect_timeout, connecting)
            .await
            .map_err(|_| Error::new(ErrorKind::Timeout, "connect").with_executed(kv_core::Executed::No))?
            .map_err(|error| classify("connect", error).with_executed(kv_core::Executed::No))?;
        Ok(Self { connection, client: Some(client), options })
    }
}

impl<C> RedisStore<C> {
    /// A store on a connection the service already has, multiplexed or managed.
    ///
    /// It has no [`PubSub`] until [`with_subscriber`](Self::with_subscriber) says where to open subscriptions.
    pub fn from_connection(connection: C) -> Self {
        Self { connection, client: None, options: RedisOptions::default() }
    }

    /// Adds [`PubSub`]: each subscription opens a connection of its own through this client.
    #[must_use]
    pub fn with_subscriber(mut self, client: Client) -> Self {
        self.client = Some(client);
        self
    }

    /// Replaces the options; those of connecting have no effect on a connection that stands.
    pub fn with_options(mut self, options: RedisOptions) -> Result<Self> {
        options.check()?;
        self.options = options;
        Ok(self)
    }

    /// The options in force.
    pub fn options(&self) -> &RedisOptions {
        &self.options
    }

    pub(crate) fn client(&self) -> Option<&Client> {
        self.client.as_ref()
    }

    fn limits(&self) -> &Limits {
        &self.options.limits
    }
}

impl<C: Clone> RedisStore<C> {
    /// The redis-rs connection, for every command that has no method here.
    pub fn connection(&self) -> C {
        self.connection.clone()
    }
}

impl<C: ConnectionLike + Clone> RedisStore<C> {
    /// Sends one command within the deadline.
    pub(crate) async fn query<T: FromRedisValue>(&self, operation: &'static str, command: &Cmd) -> Result<T> {
        self.within(operation, command.query_async(&mut self.connection.clone())).await
    }

    /// Bounds a reply by the deadline.
    pub(crate) async fn within<T>(
        &self,
        operation: &'static str,
        reply: impl Future<Output = redis::RedisResult<T>>,
    ) -> Result<T> {
        match timeout(self.options.deadline, reply).await {
            Ok(reply) => reply.map_err(|error| classify(operation, error)),
            Err(_) => Err(timed_out(operation)),
        }
    }
}

impl<C> fmt::Debug for RedisStore<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("options", &self.options).finish_non_exhaustive()
    }
}

#[async_trait]
impl<C: ConnectionLike + Clone + Send + Sync + 'static> KvStore for RedisStore<C> {
    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        self.limits().check_key("get", key)?;
        self.query("get", cmd("GET").arg(key)).await
    }

    async fn set(&self, key: &str, value: &[u8], options: SetOptions) -> Result<bool> {
        self.limits().check_key("set", key)?;
        self.limits().check_value("set", value)?;
        let mut set = cmd("SET");
        set.arg(key).arg(value);
        if let Some(ttl) = options.ttl {
            set.arg("PX").arg(Limits::ttl_millis("set", ttl)?);
        }
        match options.condition {
            Condition::IfAbsent => drop(set.arg("NX")),
            Condition::IfPresent => drop(set.arg("XX")),
            _ => {}
        }
        self.query("set", &set).await
    }

    async fn delete(&self, keys: &[&str]) -> Result<u64> {
        self.limits().check_keys("delete", keys)?;
        if keys.is_empty() {
            return Ok(0);
        }
        self.query("delete", cmd("UNLINK").arg(keys)).await
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        self.limits().check_key("exists", key)?;
        self.query("exists", cmd("EXISTS").arg(key)).await
    }

    async fn ttl(&self, key: &str) -> Result<Ttl> {
        self.limits().check_key("ttl", key)?;
        let millis: i64 = self.query("ttl", cmd("PTTL").arg(key)).await?;
        Ok(match millis {
            -2 => Ttl::Missing,
            -1 => Ttl::Unlimited,
            left => Ttl::Remaining(Duration::from_millis(left.max(0) as u64)),
        })
    }

    async fn expire(&self, key: &str, ttl: Duration) -> Result<bool> {
        self.limits().check_key("expire", key)?;
        self.query("expire", cmd("PEXPIRE").arg(key).arg(Limits::ttl_millis("expire", ttl)?)).await
    }

    async fn incr_by(&self, key: &str, delta: i64) -> Result<i64> {
        self.limits().check_key("incr_by", key)?;
        self.query("incr_by", cmd("INCRBY").arg(key).arg(delta)).await
    }

    async fn mget(&self, keys: &[&str]) -> Result<Vec<Option<Bytes>>> {
        self.limits().check_keys("mget", keys)?;
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.query("mget", cmd("MGET").arg(keys)).await
    }

    async fn mset(&self, entries: &[(&str, &[u8])], ttl: Option<Duration>) -> Result<()> {
        for (key, value) in entries {
            self.limits().check_key("mset", key)?;
            self.limits().check_value("mset", value)?;
        }
        let millis = ttl.map(|ttl| Limits::ttl_millis("mset", ttl)).transpose()?;
        if entries.is_empty() {
            return Ok(());
        }
        let Some(millis) = millis else {
            return self.query("mset", cmd("MSET").arg(entries)).await;
        };
        let mut transaction = redis::pipe();
        transaction.atomic();
        for (key, value) in entries {
            transaction.cmd("SET").arg(key).arg(value).arg("PX").arg(millis).ignore();
        }
        self.within("mset", transaction.query_async(&mut self.connection.clone())).await
    }

    fn scripts(&self) -> Option<&dyn ScriptStore> {
        Some(self)
    }

    fn pubsub(&self) -> Option<&dyn PubSub> {
        self.client.is_some().then_some(self as &dyn PubSub)
    }
}
