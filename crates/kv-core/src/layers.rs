#[cfg(feature = "obs")]
use crate::Observed;
use crate::{ConcurrencyLimit, Deadline, KvStore, Layered, Namespaced, Result, RetryPolicy, Retrying};
use std::{fmt, sync::Arc, time::Duration};

type Codec = Box<dyn FnOnce(Arc<dyn KvStore>) -> Result<Arc<dyn KvStore>> + Send>;

/// Builds a store out of layers, in the one order that makes sense, whatever the order of the calls.
///
/// From the outside in: observe, retry, deadline of each try, concurrency limit, namespace, codec, store. So a span and a
/// duration cover all tries; time spent waiting for a turn counts against the try; what a codec refuses
/// has cost no turn of another. A layer that is not asked for is not there; one that is asked for twice is what the last call
/// says. Each costs a boxed future per call, nothing beside a round trip.
///
/// ```
/// # use kv_core::*; use std::time::Duration;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// let memory = MemoryStore::new();
/// let store = Layers::new()
///     .namespace("shop")
///     .concurrency(64)
///     .deadline(Duration::from_millis(500))
///     .retry(RetryPolicy::default())
///     .over(memory.clone())?;
/// store.set("greeting", b"hello", SetOptions::default()).await?;
/// assert!(memory.exists("shop:greeting").await?);
/// # Ok(()) }
/// ```
#[derive(Default)]
#[must_use]
pub struct Layers {
    #[cfg(feature = "obs")]
    observe: bool,
    retry: Option<RetryPolicy>,
    deadline: Option<Duration>,
    concurrency: Option<usize>,
    namespace: Option<String>,
    codec: Option<Codec>,
}

impl Layers {
    /// No layers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells `tracing` and `metrics` of each call: [`Observed`].
    #[cfg(feature = "obs")]
    pub fn observe(mut self) -> Self {
        self.observe = true;
        self
    }

    /// Repeats what is safe to repeat: [`Retrying`].
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = Some(policy);
        self
    }

    /// Gives each try so much time: [`Deadline`].
    pub fn deadline(mut self, each: Duration) -> Self {
        self.deadline = Some(each);
        self
    }

    /// Lets so many calls be under way at once: [`ConcurrencyLimit`].
    pub fn concurrency(mut self, calls: usize) -> Self {
        self.concurrency = Some(calls);
        self
    }

    /// Begins every key and channel with `namespace:`, see [`Namespaced`].
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Wraps the store in one that changes values on their way: `|store| Compressed::new(store, options)`.
    pub fn codec<C: KvStore + 'static>(
        mut self,
        wrap: impl FnOnce(Arc<dyn KvStore>) -> Result<C> + Send + 'static,
    ) -> Self {
        self.codec = Some(Box::new(|store| Ok(Arc::new(wrap(store)?))));
        self
    }

    /// The store with the layers; [`InvalidConfig`](crate::ErrorKind::InvalidConfig) names the option that cannot be.
    pub fn over(self, store: impl KvStore + 'static) -> Result<Arc<dyn KvStore>> {
        let mut store: Arc<dyn KvStore> = Arc::new(store);
        if let Some(wrap) = self.codec {
            store = wrap(store)?;
        }
        if let Some(namespace) = self.namespace {
            store = Arc::new(Namespaced::new(store, &namespace)?);
        }
        if let Some(calls) = self.concurrency {
            store = Arc::new(Layered::new(store, ConcurrencyLimit::new(calls)?));
        }
        if let Some(each) = self.deadline {
            store = Arc::new(Layered::new(store, Deadline::new(each)?));
        }
        if let Some(policy) = self.retry {
            store = Arc::new(Layered::new(store, Retrying::new(policy)?));
        }
        #[cfg(feature = "obs")]
        if self.observe {
            store = Arc::new(Layered::new(store, Observed::new()));
        }
        Ok(store)
    }
}

impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut layers = f.debug_struct("Layers");
        #[cfg(feature = "obs")]
        layers.field("observe", &self.observe);
        layers
            .field("retry", &self.retry)
            .field("deadline", &self.deadline)
            .field("concurrency", &self.concurrency)
            .field("namespace", &self.namespace)
            .field("codec", &self.codec.is_some())
            .finish()
    }
}
