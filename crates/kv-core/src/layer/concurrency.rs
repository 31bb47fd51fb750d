use super::{Around, Call};
use crate::{Error, ErrorKind, Executed, Result};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// A layer that lets so many calls be under way at once; the others wait for their turn, in the order they came.
///
/// Nothing bounds that wait but the deadline around it, and a call that is dropped gives back its turn. Calls that
/// [wait by themselves](Call::wait), for an element of a list, neither count nor queue: they travel on lanes of their own and
/// would hold their turn for nothing. Clones share the limit.
#[derive(Clone, Debug)]
pub struct ConcurrencyLimit {
    turns: Arc<Semaphore>,
}

impl ConcurrencyLimit {
    /// So many at once, at least one.
    pub fn new(calls: usize) -> Result<Self> {
        if calls == 0 || calls > Semaphore::MAX_PERMITS {
            let detail = format!("concurrency must be 1 to {}", Semaphore::MAX_PERMITS);
            return Err(Error::invalid_config("layers", detail));
        }
        Ok(Self { turns: Arc::new(Semaphore::new(calls)) })
    }
}

impl Around for ConcurrencyLimit {
    async fn around<T: Send>(&self, mut call: Call<'_, T>) -> Result<T> {
        if !call.wait().is_zero() {
            return call.run().await;
        }
        let turn = self.turns.acquire().await;
        // Nobody closes the semaphore.
        let _turn = turn.map_err(|_| Error::new(ErrorKind::Unavailable, call.name()).with_executed(Executed::No))?;
        call.run().await
    }
}
