use crate::{
    LockError, LockGuard,
    backend::Backend,
    keys::Keys,
    request::{Request, deadline},
    server::Attempt,
    token::Share,
};
use kv_core::{Error, ErrorKind, Reply, Result};
use std::{sync::Arc, time::Duration};

/// A lock of a certain capacity, of which each holder takes a share.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    backend: Arc<Backend>,
    keys: Keys,
    limit: u32,
}

/// The largest capacity.
pub(crate) const LARGEST: u32 = i32::MAX.unsigned_abs();

impl Room {
    pub(crate) fn new(backend: Arc<Backend>, keys: Keys, limit: u32) -> Self {
        Self { backend, keys, limit }
    }

    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    /// One question.
    pub(crate) async fn try_enter<Of>(&self, weight: u32) -> Result<Option<LockGuard<Of>>, LockError> {
        let mut request = self.request(weight)?;
        Ok(match request.ask().await? {
            Attempt::Ours(fence) => Some(LockGuard::new(request.into_holding(fence, None)).replicated().await?),
            Attempt::Held(_) | Attempt::Passed => None,
        })
    }

    /// As many as it takes.
    pub(crate) async fn enter<Of>(&self, weight: u32, wait: Duration) -> Result<LockGuard<Of>, LockError> {
        if wait.is_zero() {
            return self.try_enter(weight).await?.ok_or(LockError::Timeout);
        }
        LockGuard::new(self.request(weight)?.wait(deadline(wait)).await?).replicated().await
    }

    fn request(&self, weight: u32) -> Result<Request> {
        let limit = self.limit;
        if weight == 0 || weight > limit {
            return Err(Error::invalid_input("acquire", "permits must be 1 to the limit"));
        }
        Ok(Request::new(self.backend.clone(), self.keys.clone(), None, Some(Share { weight, limit })))
    }

    /// What all holders weigh, and how many wait. Something else under the key weighs everything.
    pub(crate) async fn look(&self) -> Result<(u32, u64)> {
        match self.backend.server.look(&self.keys).await?[..] {
            [Reply::Int(used), Reply::Int(waiting)] => {
                Ok((u32::try_from(used).unwrap_or(LARGEST), waiting.unsigned_abs()))
            }
            _ => Err(Error::new(ErrorKind::UnexpectedReply, "look")),
        }
    }
}
