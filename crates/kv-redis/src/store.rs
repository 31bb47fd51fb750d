use crate::{Connection, RedisOptions, error::classify, link::Link};
use async_trait::async_trait;
use bytes::Bytes;
use kv_core::{
    BlockingStore, Capabilities, Condition, Error, KvStore, Limits, PubSub, Result, ScanStore, ScriptStore, SetOptions,
    Ttl,
};
use redis::{Client, Cmd, FromRedisValue, IntoConnectionInfo, aio::ConnectionLike, cmd};
use std::time::Duration;

/// kv-core's store on Redis or Valkey. Clones share the connection.
///
/// [`connect`](RedisStore::connect) opens one multiplexed connection and keeps it alive;
/// [`from_connection`](Self::from_connection) takes one that a service already has.
#[derive(Clone, Debug)]
pub struct RedisStore {
    connection: Connection,
    client: Option<Client>,
    options: RedisOptions,
}

impl RedisStore {
    /// Connects to a server: `redis://user:password@host:port/db`, `unix:///path`, `?protocol=resp3`.
    ///
    /// Errors: [`InvalidConfig`](kv_core::ErrorKind::InvalidConfig) for a URL that is none,
    /// [`Auth`](kv_core::ErrorKind::Auth) for wrong credentials, [`Unavailable`](kv_core::ErrorKind::Unavailable) when
    /// nobody answers. Needs a tokio runtime, which has to live as long as the store.
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
        let link = Link::open(client.clone(), options).await.map_err(|error| classify("connect", &error))?;
        Ok(Self { connection: Connection::own(link), client: Some(client), options })
    }

    /// A store on a connection the service already has, multiplexed or managed.
    ///
    /// It has no [`PubSub`] until [`with_subscriber`](Self::with_subscriber) says where to open subscriptions.
    pub fn from_connection(connection: impl ConnectionLike + Clone + Send + Sync + 'static) -> Self {
        Self::borrowed(connection, RedisOptions::default())
    }

    /// The same with options of one's own, of which those for connecting have no effect here.
    pub fn from_connection_with(
        connection: impl ConnectionLike + Clone + Send + Sync + 'static,
        options: RedisOptions,
    ) -> Result<Self> {
        options.check()?;
        Ok(Self::borrowed(connection, options))
    }

    fn borrowed(connection: impl ConnectionLike + Clone + Send + Sync + 'static, options: RedisOptions) -> Self {
        Self { connection: Connection::borrowed(connection, options.deadline), client: None, options }
    }

    /// Adds [`PubSub`]: each subscription opens a connection of its own through this client.
    #[must_use]
    pub fn with_subscriber(mut self, client: Client) -> Self {
        self.client = Some(client);
        self
    }

    /// The options in force.
    pub fn options(&self) -> &RedisOptions {
        &self.options
    }

    /// The redis-rs connection, for every command that has no method here, within the same deadline.
    pub fn connection(&self) -> Connection {
        self.connection.clone()
    }

    pub(crate) fn client(&self) -> Option<&Client> {
        self.client.as_ref()
    }

    /// Sends one command.
    pub(crate) async fn query<T: FromRedisValue>(&self, operation: &'static str, command: &Cmd) -> Result<T> {
        command.query_async(&mut self.connection()).await.map_err(|error| classify(operation, &error))
    }

    fn limits(&self) -> &Limits {
        &self.options.limits
    }
}

#[async_trait]
impl KvStore for RedisStore {
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
        transaction.query_async(&mut self.connection()).await.map_err(|error| classify("mset", &error))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default().limits(self.options.limits).lua(true)
    }

    fn scripts(&self) -> Option<&dyn ScriptStore> {
        Some(self)
    }

    fn pubsub(&self) -> Option<&dyn PubSub> {
        self.client.is_some().then_some(self as &dyn PubSub)
    }

    fn scan(&self) -> Option<&dyn ScanStore> {
        None
    }

    fn blocking(&self) -> Option<&dyn BlockingStore> {
        None
    }
}
