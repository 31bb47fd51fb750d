use crate::{
    RedisOptions,
    endpoint::Address,
    gathered::{Gathered, UnderWay},
    stats::{Counter, Counters},
    transport::{self, Tls},
};
use arc_swap::ArcSwap;
use redis::{
    AsyncConnectionConfig, ErrorKind, ProtocolVersion, PushInfo, RedisConnectionInfo, RedisError, RedisResult,
    aio::MultiplexedConnection,
};
use std::{io, sync::Arc};
use tokio::task::JoinHandle;

/// Opens connections: stream, encryption, login, name.
pub(crate) struct Dialer {
    /// User, password, database and protocol, as they are now.
    settings: ArcSwap<RedisConnectionInfo>,
    tls: Option<Tls>,
    pub(crate) options: RedisOptions,
    pub(crate) counters: Counters,
}

/// A connection and the task that drives it, which ends with it.
pub(crate) struct Wire {
    pub(crate) connection: MultiplexedConnection,
    /// Its number on the server, where somebody asked.
    pub(crate) id: Option<i64>,
    pub(crate) under_way: UnderWay,
    driver: JoinHandle<()>,
}

/// What a connection is for, beyond the login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Everything.
    Commands,
    /// Reads from a replica of a cluster, which redirects to its master otherwise.
    ReplicaReads,
}

impl Dialer {
    pub(crate) fn new(settings: RedisConnectionInfo, tls: Option<Tls>, options: RedisOptions) -> Self {
        Self { settings: ArcSwap::from_pointee(settings), tls, options, counters: Counters::default() }
    }

    pub(crate) fn db(&self) -> i64 {
        self.settings.load().db()
    }

    /// Credentials for every connection from now on.
    pub(crate) fn set_credentials(&self, user: Option<&str>, password: &str) {
        let mut settings = RedisConnectionInfo::clone(&self.settings.load()).set_password(password);
        if let Some(user) = user {
            settings = settings.set_username(user);
        }
        self.settings.store(Arc::new(settings));
    }

    /// Opens a connection; bounded by nobody but the caller.
    pub(crate) async fn dial(&self, address: &Address, purpose: Purpose) -> RedisResult<Wire> {
        // `Link` and the lanes bound every wait, so redis-rs' own timer would only cost.
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_pipeline_buffer_size(self.options.pipeline_buffer);
        let mut wire = self.log_in(address, config, RedisConnectionInfo::clone).await?;
        if purpose == Purpose::ReplicaReads {
            redis::cmd("READONLY").exec_async(&mut wire.connection).await?;
        }
        Ok(wire)
    }

    /// Opens a connection for messages, which go straight to the receiver; it needs RESP3, which every server from 6.0 on speaks.
    pub(crate) async fn dial_for_messages(
        &self,
        address: &Address,
        receive: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> RedisResult<Wire> {
        let config = AsyncConnectionConfig::new().set_response_timeout(None).set_push_sender(move |push| {
            receive(push);
            Ok::<_, redis::aio::SendError>(())
        });
        self.log_in(address, config, |settings| settings.clone().set_protocol(ProtocolVersion::RESP3)).await
    }

    /// A login that was refused is tried again if there are other credentials meanwhile: the server may have given up the old ones
    /// while the connection was on its way.
    async fn log_in(
        &self,
        address: &Address,
        config: AsyncConnectionConfig,
        adapt: impl Fn(&RedisConnectionInfo) -> RedisConnectionInfo,
    ) -> RedisResult<Wire> {
        let mut settings = self.settings.load_full();
        loop {
            let opened = self.open(address, &adapt(&settings), config.clone()).await;
            let newest = self.settings.load_full();
            let refused = matches!(&opened, Err(error) if error.kind() == ErrorKind::AuthenticationFailed);
            if !refused || Arc::ptr_eq(&settings, &newest) {
                return opened;
            }
            settings = newest;
        }
    }

    async fn open(
        &self,
        address: &Address,
        settings: &RedisConnectionInfo,
        config: AsyncConnectionConfig,
    ) -> RedisResult<Wire> {
        let opened = async {
            let stream = transport::connect(address, self.tls.as_ref()).await.map_err(refused)?;
            let under_way = UnderWay::default();
            let stream = Gathered::new(stream, under_way.clone());
            let (connection, driver) = MultiplexedConnection::new_with_config(settings, stream, config).await?;
            let mut wire = Wire { connection, id: None, under_way, driver: tokio::spawn(driver) };
            if let Some(name) = &self.options.client_name {
                redis::cmd("CLIENT").arg("SETNAME").arg(name).exec_async(&mut wire.connection).await?;
            }
            Ok(wire)
        };
        let opened = opened.await;
        self.counters.count(if opened.is_ok() { Counter::Connected } else { Counter::ConnectFailed });
        opened
    }
}

/// A broken certificate stays broken; everything else about a stream may be better the next time.
fn refused(error: io::Error) -> RedisError {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
            (ErrorKind::InvalidClientConfig, "tls", error.to_string()).into()
        }
        _ => error.into(),
    }
}

impl Wire {
    /// Whether the connection is known to be gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.driver.is_finished()
    }

    /// Waits until the connection is gone.
    pub(crate) async fn closed(&mut self) {
        if !self.driver.is_finished() {
            let _ = (&mut self.driver).await;
        }
    }
}

impl Drop for Wire {
    /// Left alone, a driver waits for replies that a dead peer never sends.
    fn drop(&mut self) {
        self.driver.abort();
    }
}
