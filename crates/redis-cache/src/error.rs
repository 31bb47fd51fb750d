use kv_core::Error;
use std::{error::Error as StdError, sync::Arc};

/// Why a value could not be had. Clones share what is behind them: every waiter of a load gets the same error.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The loader failed; nothing is cached.
    #[error("loader failed")]
    Load(#[source] Arc<dyn StdError + Send + Sync>),
    /// The loader took longer than [`load_timeout`](crate::CacheOptions::load_timeout) and was dropped.
    #[error("loader took too long")]
    LoadTimeout,
    /// The loader panicked, or its runtime shut down.
    #[error("loader did not finish")]
    LoadAborted,
    /// A load has failed just now, and is not repeated yet.
    #[error("loader failed just now")]
    LoadPaused,
    /// As many loads run and wait as may.
    #[error("too many loads")]
    Overloaded,
    /// The store failed for good, or a value has no encoding. A store that is only away does not fail a load.
    #[error(transparent)]
    Store(#[from] Error),
}

impl CacheError {
    pub(crate) fn of_loader(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Load(error.into().into())
    }

    /// Whether the same call may well succeed later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Load(_) | Self::LoadTimeout | Self::LoadAborted | Self::LoadPaused | Self::Overloaded => true,
            Self::Store(error) => error.is_temporary(),
        }
    }
}
