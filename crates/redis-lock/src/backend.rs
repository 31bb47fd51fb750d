use crate::{LockOptions, mailbox::Mailbox, reaper::Reaper, renewer::Renewer, server::Server};
use kv_core::{Error, KvStore, Result};
use std::sync::Arc;
use tokio::runtime::Handle;

/// What managers and guards share: the scripts, and the tasks that renew, listen and clean up.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) server: Server,
    pub(crate) options: LockOptions,
    pub(crate) renewer: Renewer,
    pub(crate) mailbox: Mailbox,
    pub(crate) reaper: Reaper,
    pub(crate) runtime: Handle,
}

impl Backend {
    pub(crate) fn new(store: Arc<dyn KvStore>, options: LockOptions) -> Result<Self> {
        let server = Server::new(store, options.wait_replicas.is_some())?;
        let runtime =
            Handle::try_current().map_err(|_| Error::invalid_config("lock", "needs to be built in a tokio runtime"))?;
        Ok(Self {
            renewer: Renewer::start(&runtime, server.clone(), options.claim_within_lease()),
            mailbox: Mailbox::new(&options.prefix),
            reaper: Reaper::start(&runtime, server.clone()),
            server,
            options,
            runtime,
        })
    }
}
