use kv_core::{Error, ErrorKind, Executed, Result};
use std::{num::NonZero, sync::LazyLock, thread::available_parallelism};
use tokio::{runtime::Handle, sync::Semaphore};

/// More at a time than there are processors would make none of them faster, and each has memory of its own.
static TURNS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(available_parallelism().map_or(1, NonZero::get)));

/// Works on one of the runtime's threads for blocking work; on this one where there is no runtime.
///
/// Dropped before its turn, nothing happens; later, the work is done in vain.
pub(crate) async fn offload<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let (Ok(runtime), Ok(turn)) = (Handle::try_current(), TURNS.acquire().await) else { return work() };
    let working = runtime.spawn_blocking(move || {
        let _turn = turn;
        work()
    });
    working.await.unwrap_or_else(|_| {
        let error = Error::new(ErrorKind::Unavailable, "compress").with_executed(Executed::No);
        Err(error.with_detail("the runtime is shutting down"))
    })
}
