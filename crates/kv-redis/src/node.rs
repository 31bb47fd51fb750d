use crate::{
    lanes::Lanes,
    link::{Link, is_read_only},
    options::PoolOptions,
    source::Source,
};
use redis::{Cmd, Pipeline, RedisResult, Value, aio::MultiplexedConnection};
use std::{slice, sync::Arc};
use tokio::time::Instant;

/// One server: the shared way to it or a pool of them, and lanes for what blocks.
pub(crate) struct Node {
    way: Way,
    pub(crate) lanes: Arc<Lanes>,
}

enum Way {
    Shared(Arc<Link>),
    Pool(Arc<Lanes>, PoolOptions),
}

impl Node {
    pub(crate) fn new(source: Arc<Source>) -> Arc<Self> {
        let options = &source.dialer.options;
        let lanes = Lanes::new(source.clone(), 0, options.max_lanes);
        let way = match options.pool {
            Some(pool) => Way::Pool(Lanes::new(source.clone(), pool.min, pool.max), pool),
            None => Way::Shared(Link::new(source)),
        };
        Arc::new(Self { way, lanes })
    }

    /// Connects, as far as it is not connected.
    pub(crate) async fn connect(&self) -> RedisResult<()> {
        match &self.way {
            Way::Shared(link) => link.connect().await,
            Way::Pool(pool, _) => pool.fill().await,
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        match &self.way {
            Way::Shared(link) => link.is_up(),
            Way::Pool(..) => true,
        }
    }

    /// Gives up the connections there are, for those that lead to the right server.
    pub(crate) fn reset(&self) {
        match &self.way {
            Way::Shared(link) => link.reset(),
            Way::Pool(pool, _) => pool.clear(),
        }
        self.lanes.clear();
    }

    /// The shared connection there is.
    pub(crate) fn current(&self) -> Option<MultiplexedConnection> {
        match &self.way {
            Way::Shared(link) => link.current(),
            Way::Pool(..) => None,
        }
    }

    pub(crate) async fn command(&self, command: &Cmd, by: Instant) -> RedisResult<Value> {
        let send = async |connection: &mut MultiplexedConnection| connection.send_packed_command(command).await;
        match &self.way {
            Way::Shared(link) => link.call(by, send, slice::from_ref).await,
            Way::Pool(pool, options) => Box::pin(pool.call(options.by(by), by, send, is_read_only)).await,
        }
    }

    pub(crate) async fn pipeline(
        &self,
        pipeline: &Pipeline,
        offset: usize,
        count: usize,
        by: Instant,
    ) -> RedisResult<Vec<Value>> {
        let send = async |connection: &mut MultiplexedConnection| {
            connection.send_packed_commands(pipeline, offset, count).await
        };
        match &self.way {
            Way::Shared(link) => link.call(by, send, |replies| replies).await,
            Way::Pool(pool, options) => {
                Box::pin(pool.call(options.by(by), by, send, |replies| replies.iter().any(is_read_only))).await
            }
        }
    }
}
