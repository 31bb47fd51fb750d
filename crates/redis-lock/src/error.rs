use kv_core::Error;

/// Why a lock could not be had, kept or given back.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Somebody else held the lock for all of the wait.
    #[error("acquire: lock is held by another")]
    Timeout,
    /// The lease ran out, or somebody else holds the lock now.
    #[error("lock is lost")]
    Lost,
    /// Too few replicas have the lock within [`wait_replicas`](crate::LockOptions::wait_replicas); it is given back.
    #[error("acquire: {acknowledged} replicas have the lock")]
    NotReplicated {
        /// How many have it.
        acknowledged: u32,
    },
    /// The store failed; whether the lock is held is not known if the error [may have been
    /// executed](kv_core::Executed::Maybe).
    #[error(transparent)]
    Store(#[from] Error),
}

impl LockError {
    /// Whether the same call may well succeed later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Timeout | Self::NotReplicated { .. } => true,
            Self::Lost => false,
            Self::Store(error) => error.is_temporary(),
        }
    }
}
