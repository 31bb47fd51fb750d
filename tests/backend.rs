use kv_core::{Arg, Clock, KvStore, KvStoreExt, MemoryStore, Namespaced, Reply, Result, Script, TwinContext};
use kv_redis::{
    PoolOptions, RedisOptions, RedisStore,
    redis::{AsyncConnectionConfig, Client},
};
use proptest::{prelude::ProptestConfig, test_runner::FileFailurePersistence};
use redis_compress::{CompressOptions, Compressed};
use std::{
    fmt,
    sync::{Arc, LazyLock},
    time::Duration,
};
use xtask::fixture::{Cluster, Sentinel, Server};

/// A store under test, and what it takes to move its time.
pub(crate) struct Backend {
    pub(crate) store: Arc<dyn KvStore>,
    /// A real server's, where there is one.
    pub(crate) server: Option<Server>,
    clock: Option<Clock>,
    /// What the store puts before every key and channel.
    prefix: String,
}

/// Longer than a busy machine keeps a server from its turn: what is tested here is not how soon a store gives up.
const PATIENCE: Duration = Duration::from_secs(8);

pub(crate) fn patient() -> RedisOptions {
    RedisOptions::default().deadline(PATIENCE).connect_timeout(PATIENCE)
}

impl Backend {
    pub(crate) fn memory() -> Self {
        let memory = MemoryStore::new();
        let clock = Some(memory.clock().clone());
        Self { store: Arc::new(memory), server: None, clock, prefix: String::new() }
    }

    pub(crate) async fn redis(query: &str) -> Self {
        let server = Server::start().expect("a server starts");
        let store = RedisStore::connect_with(&format!("{}{query}", server.url()), patient()).await.expect("it answers");
        Self { store: Arc::new(store), server: Some(server), clock: None, prefix: String::new() }
    }

    /// A service's own connection.
    pub(crate) async fn borrowed() -> Self {
        let server = Server::start().expect("a server starts");
        let client = Client::open(server.url()).expect("a url");
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(PATIENCE)).set_response_timeout(Some(PATIENCE));
        let connection = client.get_multiplexed_async_connection_with_config(&config).await.expect("it answers");
        let store = RedisStore::from_connection(connection).with_url(&server.url()).await.expect("a url");
        Self { store: Arc::new(store), server: Some(server), clock: None, prefix: String::new() }
    }

    /// Connections that one call has to itself.
    pub(crate) async fn pool() -> Self {
        let server = Server::start().expect("a server starts");
        let options = patient().pool(PoolOptions::default().max(4).acquire_timeout(PATIENCE));
        let store = RedisStore::connect_with(&server.url(), options).await.expect("it answers");
        Self { store: Arc::new(store), server: Some(server), clock: None, prefix: String::new() }
    }

    /// A cluster that all tests share, each with keys and channels of its own.
    pub(crate) async fn cluster() -> Self {
        static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::start().expect("a cluster starts"));
        Self::shared(&CLUSTER.url()).await
    }

    /// The master behind sentinels that all tests share, each with keys and channels of its own.
    pub(crate) async fn sentinel() -> Self {
        static SENTINEL: LazyLock<Sentinel> = LazyLock::new(|| Sentinel::start().expect("sentinels start"));
        Self::shared(&SENTINEL.url()).await
    }

    async fn shared(url: &str) -> Self {
        let store = RedisStore::connect_with(url, patient()).await.expect("it answers");
        let namespace = format!("{:x}", rand::random::<u64>());
        let own = Namespaced::new(store, &namespace).expect("a namespace");
        Self { store: Arc::new(own), server: None, clock: None, prefix: namespace + ":" }
    }

    /// The same backend beneath a layer that compresses everything it can.
    pub(crate) fn compressed(self) -> Self {
        let options = CompressOptions::default().threshold(0).min_saving_percent(0);
        let store = Arc::new(Compressed::new(self.store, options).expect("valid options"));
        Self { store, ..self }
    }

    /// A key or channel as the server sees it.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    pub(crate) fn is_memory(&self) -> bool {
        self.clock.is_some()
    }

    /// Lets time pass: at once where the clock can be moved.
    pub(crate) async fn pass(&self, time: Duration) {
        match &self.clock {
            Some(clock) => clock.advance(time),
            None => tokio::time::sleep(time).await,
        }
    }

    /// Puts something that is no string under a key.
    pub(crate) async fn put_other_type(&self, key: &str) {
        self.run(&OTHER_TYPE, &[key], &[]).await.expect("scripts run");
    }

    pub(crate) async fn run(&self, script: &Script, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
        self.store.require_scripts("test")?.run(script, keys, args).await
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

static OTHER_TYPE: Script = Script::new("test/other-type", "redis.call('HSET', KEYS[1], 'a', 'b')", other_type);

fn other_type(store: &mut TwinContext<'_>, keys: &[&str], _: &[Arg<'_>]) -> Result<Reply> {
    store.set_state(keys[0], ("a", "b"), None);
    Ok(Reply::Nil)
}

/// Waits for a condition, with a deadline.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let polling = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), polling).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// Bounds what must not hang.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future).await.unwrap_or_else(|_| panic!("hangs: {what}"))
}

/// So many random cases, with the failures kept beside the test.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    let regressions = FileFailurePersistence::WithSource("regressions");
    ProptestConfig { cases, failure_persistence: Some(Box::new(regressions)), ..ProptestConfig::default() }
}

/// Makes each behaviour a test on each backend.
macro_rules! on_every_backend {
    ($($behaviour:ident),* $(,)?) => {
        $crate::backend::on_every_backend!(@on memory, $crate::backend::Backend::memory(), $($behaviour),*);
        $crate::backend::on_every_backend!(@on resp2, $crate::backend::Backend::redis("").await, $($behaviour),*);
        $crate::backend::on_every_backend!(@on resp3, $crate::backend::Backend::redis("?protocol=resp3").await, $($behaviour),*);
        $crate::backend::on_every_backend!(@on pool, $crate::backend::Backend::pool().await, $($behaviour),*);
        $crate::backend::on_every_backend!(@on cluster, $crate::backend::Backend::cluster().await, $($behaviour),*);
        $crate::backend::on_every_backend!(@on sentinel, $crate::backend::Backend::sentinel().await, $($behaviour),*);
        $crate::backend::on_every_backend!(@on borrowed, $crate::backend::Backend::borrowed().await, $($behaviour),*);
    };
    (@one_server $($behaviour:ident),* $(,)?) => {
        $crate::backend::on_every_backend!(@on memory, $crate::backend::Backend::memory(), $($behaviour),*);
        $crate::backend::on_every_backend!(@on resp2, $crate::backend::Backend::redis("").await, $($behaviour),*);
        $crate::backend::on_every_backend!(@on resp3, $crate::backend::Backend::redis("?protocol=resp3").await, $($behaviour),*);
    };
    (@layers $($behaviour:ident),* $(,)?) => {
        $crate::backend::on_every_backend!(@on compressed_memory, $crate::backend::Backend::memory().compressed(), $($behaviour),*);
        $crate::backend::on_every_backend!(@on compressed_redis, $crate::backend::Backend::redis("").await.compressed(), $($behaviour),*);
    };
    (@on $name:ident, $backend:expr, $($behaviour:ident),*) => {
        mod $name {
            $(#[tokio::test]
            async fn $behaviour() {
                let backend = $backend;
                $crate::backend::soon(stringify!($behaviour), super::$behaviour(&backend)).await;
            })*
        }
    };
}
pub(crate) use on_every_backend;
