use super::{node::Node, options::QuorumOptions, tally::Tally};
use kv_core::{Error, KvStore, Result};
use std::sync::Arc;
use tokio::{runtime::Handle, sync::oneshot};

/// What managers and guards share: the servers, and where their tasks run.
#[derive(Debug)]
pub(crate) struct Servers {
    pub(crate) nodes: Vec<Node>,
    pub(crate) options: QuorumOptions,
    pub(crate) runtime: Handle,
}

impl Servers {
    pub(crate) fn new(stores: Vec<Arc<dyn KvStore>>, options: QuorumOptions) -> Result<Self> {
        options.check()?;
        let invalid = |detail| Error::invalid_config("quorum lock", detail);
        if stores.is_empty() {
            return Err(invalid("stores must not be empty"));
        }
        let mut pointers: Vec<_> = stores.iter().map(|store| Arc::as_ptr(store).cast::<()>()).collect();
        pointers.sort_unstable();
        if pointers.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(invalid("stores must be independent servers, not the same one twice"));
        }
        let runtime = Handle::try_current().map_err(|_| invalid("needs to be built in a tokio runtime"))?;
        let nodes = stores.into_iter().map(|store| Node::new(store, &runtime)).collect::<Result<_>>()?;
        Ok(Self { nodes, options, runtime })
    }

    pub(crate) fn tally(&self) -> Tally {
        Tally::new(self.nodes.len())
    }

    /// Runs a step in a task of its own, so that dropping the caller's future stops nothing half way; `None` if the
    /// runtime is gone.
    pub(crate) async fn detached<T, F>(&self, step: impl FnOnce(oneshot::Sender<T>) -> F) -> Option<T>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        self.runtime.spawn(step(answer));
        answered.await.ok()
    }
}
