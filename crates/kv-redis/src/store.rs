use crate::{
    Connection, RedisOptions, Stats,
    cluster::slot::slot,
    error::classify,
    home::{Home, Kind},
    node::Node,
    options::from_now,
    target::{Lend, Target, Touch},
};
use kv_core::{Error, ErrorKind, Limits, Result};
use redis::{
    Cmd, ErrorKind as RedisErrorKind, FromRedisValue, RedisError, ServerErrorKind, Value, aio::ConnectionLike, cmd,
};
use std::{fmt, sync::Arc};

/// kv-core's store on Redis or Valkey: one server, a pool, a cluster, or whoever the sentinels say. Clones share the connections.
///
/// [`connect`](RedisStore::connect) opens them and keeps them alive; [`from_connection`](Self::from_connection) takes one that a
/// service already has.
#[derive(Clone)]
pub struct RedisStore {
    inner: Arc<Inner>,
}

struct Inner {
    target: Target,
    home: Option<Home>,
    db: i64,
    options: RedisOptions,
}

impl RedisStore {
    /// Connects to what a URL names.
    ///
    /// | URL | what it names |
    /// |---|---|
    /// | `redis://user:password@host:port/db` | one server; `rediss` encrypts |
    /// | `unix:///path?db=1&user=…&pass=…` | one server on a unix socket |
    /// | `redis-cluster://host:port?node=host:port` | a cluster, by some of its nodes |
    /// | `redis-sentinel://host:port/db?node=host:port&sentinelServiceName=name` | the master of that name, by its sentinels |
    ///
    /// `rediss-cluster` and `rediss-sentinel` encrypt. `protocol=resp3` selects RESP3; `sentinelUsername` and `sentinelPassword` are
    /// the login at the sentinels, `user:password@` the one at the servers.
    ///
    /// Errors: [`InvalidConfig`](kv_core::ErrorKind::InvalidConfig) for a URL that is none,
    /// [`Auth`](kv_core::ErrorKind::Auth) for wrong credentials, [`Unavailable`](kv_core::ErrorKind::Unavailable) when
    /// nobody answers. Needs a tokio runtime, which has to live as long as the store.
    pub async fn connect(url: &str) -> Result<Self> {
        Self::connect_with(url, RedisOptions::default()).await
    }

    /// Connects with options of one's own; see [`connect`](Self::connect).
    pub async fn connect_with(url: &str, options: RedisOptions) -> Result<Self> {
        let home = Home::open(url, options.clone()).await?;
        home.connect().await.map_err(|error| classify("connect", &error))?;
        Ok(Self::new(home.target(), home.dialer.db(), Some(home), options))
    }

    /// A store on a connection the service already has, multiplexed or managed.
    ///
    /// It has no [`PubSub`](kv_core::PubSub), [`Tracking`](kv_core::Tracking), [`ScanStore`](kv_core::ScanStore) and
    /// [`BlockingStore`](kv_core::BlockingStore) until [`with_url`](Self::with_url) says where to open connections for them.
    pub fn from_connection(connection: impl ConnectionLike + Clone + Send + Sync + 'static) -> Self {
        let db = connection.get_db();
        Self::new(Target::Borrowed(Arc::new(connection) as Arc<dyn Lend>), db, None, RedisOptions::default())
    }

    /// The same with options of one's own, of which those for connecting have an effect on [`with_url`](Self::with_url) only.
    pub fn from_connection_with(
        connection: impl ConnectionLike + Clone + Send + Sync + 'static,
        options: RedisOptions,
    ) -> Result<Self> {
        options.check()?;
        let db = connection.get_db();
        Ok(Self::new(Target::Borrowed(Arc::new(connection) as Arc<dyn Lend>), db, None, options))
    }

    /// Says where a store on a borrowed connection opens connections of its own: for subscriptions, tracking, blocking calls and scans.
    ///
    /// The URL is that of [`connect`](Self::connect), and has to lead to the same data.
    pub async fn with_url(self, url: &str) -> Result<Self> {
        let home = Home::open(url, self.options().clone()).await?;
        Ok(Self::new(self.inner.target.clone(), self.inner.db, Some(home), self.options().clone()))
    }

    fn new(target: Target, db: i64, home: Option<Home>, options: RedisOptions) -> Self {
        Self { inner: Arc::new(Inner { target, home, db, options }) }
    }

    /// The options in force.
    pub fn options(&self) -> &RedisOptions {
        &self.inner.options
    }

    /// The redis-rs connection, for every command that has no method here, within the same deadline.
    pub fn connection(&self) -> Connection {
        let Inner { target, db, options, .. } = &*self.inner;
        Connection { target: target.clone(), deadline: options.deadline, db: *db }
    }

    /// What the store's connections have been through.
    pub fn stats(&self) -> Stats {
        self.inner.home.as_ref().map(|home| home.dialer.counters.snapshot()).unwrap_or_default()
    }

    /// Logs in with another password from now on, on the connections there are and on all to come.
    ///
    /// To be called once the server takes the new password, and before it stops to take the old one. The error is that of the first
    /// connection that was refused. One round trip per connection.
    pub async fn set_credentials(&self, user: Option<&str>, password: &str) -> Result<()> {
        let home = self.require_home("set_credentials")?;
        home.dialer.set_credentials(user, password);
        let mut login = cmd("AUTH");
        login.arg(user).arg(password);
        let mut outcome = Ok(());
        for node in home.nodes() {
            if let Some(mut connection) = node.current() {
                let by = from_now(self.options().deadline);
                let answer = tokio::time::timeout_at(by, login.exec_async(&mut connection)).await;
                let answer = answer.unwrap_or_else(|_| Err(crate::source::timed_out()));
                outcome = outcome.and(answer.map_err(|error| classify("set_credentials", &error)));
            }
            node.lanes.clear();
        }
        outcome
    }

    pub(crate) fn target(&self) -> &Target {
        &self.inner.target
    }

    pub(crate) fn home(&self) -> Option<&Home> {
        self.inner.home.as_ref()
    }

    pub(crate) fn require_home(&self, operation: &'static str) -> Result<&Home> {
        let none = || Error::new(ErrorKind::Unsupported, operation).with_detail("the store opens no connections");
        self.home().ok_or_else(none)
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.inner.options.limits
    }

    /// The server of a key, for connections of one's own.
    pub(crate) fn own_node(&self, operation: &'static str, key: &str) -> Result<Arc<Node>> {
        match &self.require_home(operation)?.kind {
            Kind::Server(_, node) | Kind::Sentinel(_, node) => Ok(node.clone()),
            Kind::Cluster(cluster) => {
                let route = crate::cluster::Route::Slot(slot(key.as_bytes()));
                cluster.owner(route).map_err(|error| classify(operation, &error))
            }
        }
    }

    /// Whether a blocking call failed because its slot is elsewhere; the map is read again then.
    pub(crate) fn is_redirected(&self, error: &RedisError) -> bool {
        use ServerErrorKind::{Ask, Moved, TryAgain};
        match self.home().map(|home| &home.kind) {
            Some(Kind::Cluster(cluster)) if matches!(error.kind(), RedisErrorKind::Server(Ask | Moved | TryAgain)) => {
                cluster.refresh_soon();
                true
            }
            _ => false,
        }
    }

    /// Refuses keys of several slots where there are slots.
    pub(crate) fn check_slots(&self, operation: &'static str, keys: &[&str]) -> Result<()> {
        let mut slots = keys.iter().map(|key| slot(key.as_bytes()));
        let first = slots.next();
        if self.target().has_slots() && slots.any(|slot| Some(slot) != first) {
            return Err(Error::invalid_input(operation, "keys of one operation must share a hash slot"));
        }
        Ok(())
    }

    /// Sends one command.
    pub(crate) async fn query<T: FromRedisValue>(
        &self,
        operation: &'static str,
        touch: Touch<'_>,
        command: &Cmd,
    ) -> Result<T> {
        let reply = self.target().command(touch, command, from_now(self.options().deadline)).await;
        let value = match reply {
            Ok(Value::ServerError(error)) => return Err(classify(operation, &error.into())),
            Ok(value) => value,
            Err(error) => return Err(classify(operation, &error)),
        };
        T::from_redis_value(value).map_err(|_| Error::new(ErrorKind::UnexpectedReply, operation))
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("options", self.options()).finish_non_exhaustive()
    }
}
